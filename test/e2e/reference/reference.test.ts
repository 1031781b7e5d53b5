/** Base jobs that have their reference machine built on the client first, by a program of its hook directories. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { JobReport } from "../../helpers/job-report.js";
import { endReport, startJob, until, writeScript } from "../../helpers/running.js";
import { copyTree, Scenario, wrote } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

describe("reference machines", () => {
  let scenario: Scenario;
  /** What the builder copies. */
  let model: string;
  let place: string;
  let inForce: number;

  const filed = (): string => join(scenario.installation.dir, "filed.yaml");
  const told = (file: string): string => readFileSync(scenario.path(file), "utf8").trim();

  before(async () => {
    scenario = await Scenario.create("reference");
    model = scenario.path("model");
    place = scenario.path("references", "small");
    await mkdir(model);
    await mkdir(scenario.path("references"));
    for (let i = 0; i < 20; i++)
      await runTreeOps(model, [fileOp(`file-${i}`, { kind: "random", size: 20_000, seed: `m${i}` })]);
    const hooks = join(scenario.installation.dir, "hooks");
    const fail = `if [ -e ${scenario.path("fail")} ]; then echo "no mirror answers"; exit 7; fi`;
    await writeScript(join(hooks, "build"), [
      `echo "$BASALT_REFERENCE $BASALT_REFERENCE_TARGET $BASALT_JOB_LEVEL $1" > ${scenario.path("told")}`,
      `cp -a ${model}/. "$BASALT_REFERENCE_TARGET/"`,
      fail,
      'echo "it is made"',
    ]);
    await writeScript(join(hooks, "finish"), ['echo "customized" > "$1/etc-issue"']);
    await writeScript(join(hooks, "hang"), [
      `sleep 600 & echo $! > ${scenario.path("pids")}`,
      `echo $$ >> ${scenario.path("pids")}`,
      "sleep 600",
    ]);
    await appendFile(
      filed(),
      `
Reference:
  - {Name: small, Builder: command, Command: build anew, Directory: ${place}, Customize: [finish]}
  - {Name: hanging, Builder: command, Command: hang, Directory: ${scenario.path("references", "hanging")}}
  - {Name: slow, Builder: command, Command: hang, Directory: ${scenario.path("references", "slow")}, TimeLimit: 2 seconds}
`,
    );
    const job = (name: string, Reference: object, root = scenario.path("references", name)) => ({
      ...{ name, root, level: "Base" as const, job: { Reference } },
    });
    await scenario.define([
      job("small", { Builder: "command" }),
      job("hanging", {}),
      job("slow", {}),
      job("foreign", { Name: "secret" }),
      job("other-builder", { Name: "small", Builder: "kickstart" }, place),
      job("elsewhere", { Name: "small" }, model),
      { name: "vm", base: ["small"] },
    ]);
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  const fails = async (name: string, words: RegExp): Promise<JobReport> => {
    const report = await scenario.backup(name, "Base", "*** Backup Error ***");
    assert.match(report.report, words);
    return report;
  };

  /** A machine like the reference is saved by naming that, whatever failed before. */
  async function vmUses(jobId: number): Promise<void> {
    await rm(scenario.path("vm"), { recursive: true, force: true });
    await copyTree(place, scenario.path("vm"));
    const full = await scenario.backup("vm", "Full");
    assert.match(full.report, new RegExp(`Using BaseJobId\\(s\\): ${jobId}$`, "m"));
    wrote(full, { sent: 0 });
  }

  test("it is built, customized, saved, and is what machines are compared with", async () => {
    const { jobId, report } = await scenario.backup("small", "Base");
    inForce = jobId;
    assert.equal(told("told"), `small ${place}.new Base anew`);
    assert.match(report, /t-fd JobId \d+: Reference small: it is made/);
    assert.equal(await readFile(join(place, "etc-issue"), "utf8"), "customized\n");
    for (const left of [".new", ".old", ".failed"]) assert.ok(!existsSync(place + left), left);
    await scenario.restoresAs("small", place, { jobIds: [jobId] });
    await vmUses(inForce);
  });

  test("next month: what is the same is counted, the new Base is in force", async () => {
    await runTreeOps(model, [{ op: "rewrite", path: "file-3", seed: "new" }]);
    const { jobId, report } = await scenario.backup("small", "Base");
    assert.match(
      report,
      new RegExp(
        `Reference small: 95\\.2 % of its entries and 95\\.\\d % of its bytes are as in .*JobId ${inForce}\\)`,
      ),
    );
    inForce = jobId;
    await vmUses(inForce);
  });

  test("a build that fails leaves machine and Base as they were", async () => {
    await writeFile(scenario.path("fail"), "");
    await fails(
      "small",
      /Fatal error: reference machine "small": build: Child exited with code 7; it said last: no mirror answers/,
    );
    await rm(scenario.path("fail"));
    assert.ok(existsSync(join(place, "file-3")) && !existsSync(`${place}.new`));
    await vmUses(inForce);
  });

  test("one that is far off is not promoted, unless the operator says so", async () => {
    await runTreeOps(
      model,
      Array.from({ length: 12 }, (_, i) => ({ op: "rewrite", path: `file-${i}`, seed: "far" }) as const),
    );
    const { report } = await fails("small", /Fatal error: Reference small: 42\.8 % .*; expected are 50 %\./);
    assert.match(report, new RegExp(`not promoted, JobId ${inForce} stays in force`));
    // The place shows the Base in force; what was refused can be looked at.
    assert.notDeepEqual(
      await readFile(join(place, "file-5")),
      await readFile(join(`${place}.failed`, "file-5")),
    );
    await vmUses(inForce);
    const accepted = await scenario.backup("small", "Base", "Backup OK", "expectedmatch=0");
    inForce = accepted.jobId;
    assert.ok(!existsSync(`${place}.failed`));
    await vmUses(inForce);
  });

  test("the client's configuration decides what is built, and how", async () => {
    await fails(
      "foreign",
      /Fatal error: the file daemon builds no reference machine "secret": its configuration names only/,
    );
    await fails("other-builder", /builds "small" with Builder kickstart: its configuration says command/);
    await fails("elsewhere", /the FileSet "elsewhere" names nothing in .*give it Include: \{Root: /);
    const refused = await scenario.installation.console(["run job=vm expectedmatch=5 yes"]);
    assert.match(refused, /Job "vm" has no Reference: expectedmatch means nothing\.\nJob not run\./);
    const shown = await scenario.installation.console(["show job=small"]);
    assert.match(shown, /Reference=small\n +ExpectedMatch=50 %/);
    const full = await scenario.backup("small", "Full", "*** Backup Error ***");
    assert.match(full.report, /Job "small" has a Reference and runs with level Base only, not Full/);
    await vmUses(inForce);
  });

  const pids = (): number[] => readFileSync(scenario.path("pids"), "utf8").trim().split("\n").map(Number);
  const alive = (pid: number): boolean => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };

  test("a build that takes too long is ended", async () => {
    await fails("slow", /Fatal error: reference machine "slow" was not built within its TimeLimit/);
    assert.deepEqual(pids().filter(alive), []);
  });

  test("status tells that it is built; cancel ends the builder and all that it started", async () => {
    const { installation } = scenario;
    await rm(scenario.path("pids"), { force: true });
    const jobId = await startJob(installation, "hanging");
    await until("the builder runs", () => existsSync(scenario.path("pids")) && pids().length === 2);
    const status = await installation.console(["status client=t-fd"]);
    assert.match(status, /State: building reference machine \(command\)/);
    await installation.console([`cancel jobid=${jobId} yes`, "wait"]);
    const { termination, report } = await endReport(installation, jobId);
    assert.equal(termination, "Backup Canceled", report);
    assert.deepEqual(pids().filter(alive), []);
    assert.ok(!existsSync(scenario.path("references", "hanging.new")));
  });
});
