/**
 * kill -9 of the director at every stage of a job, with jobs waiting behind it: after the restart states are right, the
 * client's After command has run once, and nothing runs twice.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { jobLog, jobStatus, startJob, until, untilStatus, writeScript } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

/** Where a job stands still until it is let go, and what it has become once the director is there again. */
const POINTS = [
  { stage: "director-before", state: "f", clientAfter: 0 },
  { stage: "client-before", state: "f", clientAfter: 1 },
  // The storage daemon has committed it, and the director has not heard.
  { stage: "client-after", state: "T", clientAfter: 1 },
  { stage: "director-after", state: "T", clientAfter: 1 },
] as const;

describe("kill -9 of the director", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("director-points", { keepConsole: true });
    const { installation } = scenario;
    const trace = scenario.path("trace");
    // Notes down that it was there, and stands still at its stage while there is a file of that name.
    const lines = [
      `echo "$1 $2 $3" >> ${trace}`,
      `while [ -e ${scenario.path("stop")}/$1 ]; do sleep 0.1; done`,
      `echo "$1-done $2 $3" >> ${trace}`,
    ];
    const own = await writeScript(scenario.path("stage"), lines);
    await writeScript(join(installation.dir, "hooks", "stage"), lines);
    const root = scenario.path("tree");
    await mkdir(root);
    await mkdir(scenario.path("stop"));
    await runTreeOps(root, [fileOp("file", { kind: "random", size: 200_000, seed: "points" })]);
    const job = {
      RunBeforeJob: `${own} director-before %i`,
      ClientRunBeforeJob: "stage client-before %i",
      ClientRunAfterJob: "stage client-after %i",
      RunAfterJob: `${own} director-after %i`,
      RunAfterFailedJob: `${own} director-failed %i`,
    };
    const common = { MaximumConcurrentJobs: 1, AllowIncompleteJobs: "no" };
    await scenario.define([
      { name: "staged", root, job: { ...job, ...common } },
      { name: "behind", root, job: { Priority: 20, RunBeforeJob: `${own} behind %i` } },
    ]);
    await installation.startAll();
  });

  after(() => scenario?.close());

  const traced = (stage: string, jobId: number): number => {
    const file = scenario.path("trace");
    if (!existsSync(file)) return 0;
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.filter((line) => line.trim() === `${stage} ${jobId}`).length;
  };

  for (const { stage, state, clientAfter } of POINTS) {
    test(`at ${stage}`, async () => {
      const { installation } = scenario;
      const gate = scenario.path("stop", stage);
      await writeFile(gate, "");
      const jobId = await startJob(installation, "staged", "level=Full");
      const behind = await startJob(installation, "behind", "level=Full");
      await until(`JobId ${jobId} is at ${stage}`, () => traced(stage, jobId) > 0);
      assert.equal(jobStatus(installation, behind), "C");
      await installation.kill("director", "SIGKILL");
      await rm(gate);
      await installation.start("director");
      await installation.waitReady();
      await untilStatus(installation, behind, "T");
      await untilStatus(installation, jobId, state);
      const [how, other] =
        state === "T" ? ["director-after", "director-failed"] : ["director-failed", "director-after"];
      await until("the director's After command", () => traced(`${how}-done`, jobId) > 0);
      await until("the client's After command", () => traced("client-after-done", jobId) >= clientAfter);
      assert.match(jobLog(installation, jobId), /The director ended while Job staged\..* was running/);
      assert.equal(jobStatus(installation, jobId), state);
      assert.equal(traced(other, jobId), 0);
      if (stage === "client-after")
        assert.match(jobLog(installation, jobId), /had finished JobId \d+ before: the backup is good/);
      assert.equal(traced("client-after", jobId), clientAfter);
      assert.equal(traced("director-before", jobId), 1);
      assert.equal(traced("behind", behind), 1);
      // What the console says is what there is: only a good run can be restored.
      const commands = ["wait", `list jobid=${jobId}`, "status dir", "status storage=File"];
      const listed = await installation.console(commands);
      assert.match(listed, new RegExp(`\\| staged .*\\| ${jobStatus(installation, jobId)} +\\|`));
      assert.equal([...listed.matchAll(/^No Jobs running\.$/gm)].length, 2, listed);
    });
  }

  test("afterwards a run is good, and comes back", async () => {
    await scenario.backup("staged", "Full");
    await scenario.restoresAs("staged", scenario.path("tree"));
  });
});
