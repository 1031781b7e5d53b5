/**
 * A reference machine with every kind of entry, and a virtual machine derived from it: Base, Full on the Base,
 * Incremental, Differential, Incremental with edits between them, and every state restored at every point in time.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { reportNumber } from "../../helpers/job-report.js";
import { copyTree, pointInTime, Scenario, wrote } from "../../helpers/scenario.js";
import { editOddTree, makeOddTree } from "../../helpers/tree.js";
import { runTreeOps } from "../../helpers/tree-ops.js";

/** rsync cannot walk it: its path exceeds PATH_MAX. compareTrees can. */
const RSYNC_EXCLUDE = ["/deep"];

interface State {
  /** Copy of the tree as it was. */
  saved: string;
  /** The second in which the run ended. */
  time: string;
  /** Runs whose rows make up this state, oldest first. */
  jobIds: number[];
}

describe("odd tree", () => {
  let scenario: Scenario;
  const states: State[] = [];

  before(async () => {
    scenario = await Scenario.create("odd-tree", { keepConsole: true });
    await scenario.define([
      { name: "reference", root: scenario.path("reference"), level: "Base" },
      { name: "vm", root: scenario.path("vm"), base: ["vm", "reference"] },
    ]);
    await makeOddTree(scenario.path("reference"), { hugeDirectory: 1500 });
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  /** Runs the job, keeps a copy of the tree, and restores its newest state. */
  async function run(level: string, parents: number[]): Promise<State> {
    const saved = scenario.path(`saved-${states.length}`);
    await copyTree(scenario.path("vm"), saved);
    const report = await scenario.backupAndRestore("vm", level, saved, { rsyncExclude: RSYNC_EXCLUDE });
    const state = { saved, time: await pointInTime(), jobIds: [...parents, report.jobId] };
    states.push(state);
    return state;
  }

  /** Restores all states but the newest: by time, or by the list of their runs. */
  async function earlierStates(how: "before" | "jobIds"): Promise<void> {
    const wanted = states.slice(0, -1).map(({ saved, time, jobIds }) => ({
      expected: saved,
      ...(how === "before" ? { before: time } : { jobIds }),
      rsyncExclude: RSYNC_EXCLUDE,
    }));
    await scenario.restoreEach("vm", wanted);
  }

  test("the Base of the reference restores; the socket is noted and skipped", async () => {
    const report = await scenario.backup("reference", "Base");
    assert.match(report.report, /1 socket/i, report.report);
    await scenario.restoresAs("reference", scenario.path("reference"), {
      jobIds: [report.jobId],
      rsyncExclude: RSYNC_EXCLUDE,
    });
  });

  test("a Full on the Base", async () => {
    await copyTree(scenario.path("reference"), scenario.path("vm"));
    await editOddTree(scenario.path("vm"), 1);
    // On its first run nothing but their times tells them from the reference's.
    await runTreeOps(scenario.path("vm"), [
      { op: "touch", path: "edit/rewritten-quietly" },
      { op: "touch", path: "edit/rewritten-large" },
    ]);
    const { jobIds } = await run("Full", []);
    const report = await scenario.installation.console([`list basefiles jobid=${jobIds[0]}`]);
    assert.match(report, /names\/bytes/, report);
  });

  test("an Incremental", async () => {
    await editOddTree(scenario.path("vm"), 2);
    await run("Incremental", states[0]!.jobIds);
    await earlierStates("before");
  });

  test("a Differential", async () => {
    await editOddTree(scenario.path("vm"), 3);
    await run("Differential", states[0]!.jobIds);
    await earlierStates("jobIds");
  });

  test("an Incremental on the Differential", async () => {
    await editOddTree(scenario.path("vm"), 4);
    await run("Incremental", states[2]!.jobIds);
    await earlierStates("before");
  });

  test("an Incremental without a change writes nothing", async () => {
    const report = await scenario.backup("vm", "Incremental");
    wrote(report, { files: 0, sent: 0 });
    assert.equal(scenario.rows(report.jobId), 0);
  });

  test("a new Full reads nothing that did not change, and restores", async () => {
    const report = await scenario.backup("vm", "Full");
    wrote(report, { sent: 0 });
    assert.equal(reportNumber(report, "FD Bytes Read"), 0, report.report);
    await scenario.restoresAs("vm", states[3]!.saved, { rsyncExclude: RSYNC_EXCLUDE });
  });
});
