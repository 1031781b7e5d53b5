/** VirtualFull, Copy and Migrate with real daemons: two storage daemons, several pools. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { copyTree, pointInTime, Scenario } from "../../helpers/scenario.js";
import { SecondStorage } from "../../helpers/second-storage.js";
import { dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const random = (path: string, size: number, seed = path): TreeOp =>
  fileOp(path, { kind: "random", size, seed });

const REFERENCE: TreeOp[] = [
  dirOp("bin"),
  dirOp("etc"),
  ...Array.from({ length: 40 }, (_, i) => random(`bin/tool-${i}`, 20_000 + i)),
  random("bin/large", 3_000_000),
  random("etc/passwd", 2000),
];

/** Value of a line of a report. */
function line(output: string, key: string): string {
  const found = new RegExp(`^  ${key.replace(/[()]/g, "\\$&")}: +(.*)$`, "m").exec(output);
  assert.ok(found, `${key} in\n${output}`);
  return found[1]!;
}

describe("copies", () => {
  let scenario: Scenario;
  let second: SecondStorage;
  /** JobIds of what is in pool Main: the Base, the machine's runs. */
  const runs: number[] = [];
  const times: { before: string; tree: string }[] = [];

  before(async () => {
    scenario = await Scenario.create("copies", { keepConsole: true });
    second = await SecondStorage.create(scenario.installation);
    const vm = { pool: "Main", base: ["ref"], job: { VirtualFullPool: "Near" } };
    await scenario.define(
      [
        { name: "ref", level: "Base", pool: "Main" },
        { name: "vm", ...vm },
        { name: "mover", pool: "Main" },
      ],
      [
        { name: "Main", NextPool: "Far", Storage: "File" },
        { name: "Near", Storage: "File" },
        { name: "Far", Storage: "Second" },
      ],
    );
    const common = { Storage: "File", Messages: "Standard" };
    await scenario.installation.writeResources("copy-jobs", {
      Job: [
        { Name: "copy-all", Type: "Copy", Pool: "Main", SelectionType: "PoolUncopiedJobs", ...common },
        {
          Name: "copy-near",
          Type: "Copy",
          Pool: "Near",
          NextPool: "Far",
          SelectionType: "PoolUncopiedJobs",
          ...common,
        },
        {
          ...{ Name: "migrate-vm", Type: "Migrate", Pool: "Main", NextPool: "Near", ...common },
          ...{ SelectionType: "Job", SelectionPattern: "^vm$" },
        },
        {
          ...{ Name: "migrate-away", Type: "Migrate", Pool: "Main", ...common },
          ...{ SelectionType: "Job", SelectionPattern: "mover" },
        },
        {
          Name: "sql",
          Type: "Copy",
          Pool: "Main",
          SelectionType: "SQLQuery",
          SelectionPattern: "SELECT Name FROM Pool",
          ...common,
        },
        {
          ...{
            Name: "sql-ref",
            Type: "Copy",
            Pool: "Main",
            NextPool: "Near",
            SelectionType: "SQLQuery",
            ...common,
          },
          SelectionPattern:
            "SELECT DISTINCT Job.JobId, Job.StartTime FROM Job JOIN Pool USING (PoolId) WHERE Job.Name = 'ref' " +
            "AND Type = 'B' AND JobStatus = 'T' AND Pool.Name = 'Main' ORDER BY Job.StartTime",
        },
      ],
    });
    await runTreeOps(scenario.path(), [dirOp("ref")]);
    await runTreeOps(scenario.path("ref"), REFERENCE);
    await copyTree(scenario.path("ref"), scenario.path("vm"));
    await second.start();
    await scenario.installation.startAll();
  });

  after(async () => {
    await second?.stop();
    await scenario?.close();
  });

  /** Changes the machine, backs it up, and keeps its tree with the moment after it. */
  async function step(level: string, ops: TreeOp[]): Promise<void> {
    await runTreeOps(scenario.path("vm"), ops);
    runs.push((await scenario.backup("vm", level)).jobId);
    await keep();
  }

  async function keep(): Promise<void> {
    const tree = scenario.path(`state-${times.length}`);
    await copyTree(scenario.path("vm"), tree);
    times.push({ before: await pointInTime(), tree });
  }

  async function restoresAtEachTime(words = ""): Promise<void> {
    await scenario.restoreEach(
      "vm",
      times.map(({ before, tree }) => ({ before, expected: tree, words })),
    );
  }

  test("a VirtualFull of a chain on a Base, an Incremental on it, and every state", async () => {
    runs.push((await scenario.backup("ref", "Base")).jobId);
    await step("Full", [random("etc/own", 5000), { op: "remove", path: "bin/tool-3" }]);
    await step("Incremental", [random("home", 2_000_000), { op: "remove", path: "bin/tool-4" }]);
    await step("Incremental", [{ op: "rewrite", path: "etc/own", seed: "changed" }]);
    const report = await scenario.backup("vm", "VirtualFull");
    assert.match(report.report, /Consolidating JobIds=2,3,4$/m);
    assert.equal(report.lines.get("Backup Level"), "Virtual Full");
    assert.equal(report.lines.get("Pool"), '"Near" (From Job VFullPool override)');
    assert.equal(report.lines.get("FD termination status"), undefined);
    await step("Incremental", [random("later", 1000), { op: "remove", path: "home" }]);
    const listed = await scenario.installation.console([`llist jobid=${runs.at(-1)}`]);
    assert.match(listed, new RegExp(`PriorJobId: ${report.jobId}$`, "m"));
    await restoresAtEachTime();
  });

  test("SQL that gives no JobIds and a job without a Next Pool are refused in words", async () => {
    const output = await scenario.installation.console([
      "run job=sql yes",
      "wait",
      "messages",
      "run job=copy-all pool=Far yes",
      "wait",
      "messages",
    ]);
    assert.match(output, /the statement gives no JobId in its first column: /);
    assert.match(output, /No Next Pool specification found in Pool "Far"/);
    assert.equal([...output.matchAll(/Termination: +\*\*\* Copying Error \*\*\*/g)].length, 2);
  });

  test("all jobs are copied to the other storage daemon, and are listed", async () => {
    const output = await scenario.installation.console([
      ...["run job=copy-all yes", "wait", "run job=copy-near yes", "wait", "messages", "list copies"],
      ...["run job=copy-all yes", "wait", "messages"],
    ]);
    assert.ok(
      output.includes(`The following 5 JobIds were chosen to be copied: ${runs.join(",")}\n`),
      output,
    );
    assert.equal([...output.matchAll(/: Copying JobId \d+ started\./g)].length, 4);
    assert.equal([...output.matchAll(/Termination: +Copying OK$/gm)].length, 6, output);
    assert.match(output, /Termination: +Copying -- no files to copy/);
    assert.equal(line(output, "Write Storage"), '"Second" (From Next Pool resource)');
    assert.match(output, /The catalog contains copies as follows:/);
    assert.equal([...output.matchAll(/^\| \d+ +\| (vm|ref)\./gm)].length, 6, output);
  });

  test("migration within the storage: states, the next Incremental, and what is gone", async () => {
    const output = await scenario.installation.console(["run job=migrate-vm yes", "wait", "messages"]);
    assert.ok(output.includes(`chosen to be migrated: ${runs.slice(1).join(",")}\n`), output);
    assert.equal([...output.matchAll(/Termination: +Migration OK$/gm)].length, 4, output);
    assert.doesNotMatch(output, /Warning:|Error:/);
    const jobs = await scenario.installation.console(["list jobs jobtype=M"]);
    for (const jobId of runs.slice(1)) assert.match(jobs, new RegExp(`^\\| ${jobId} `, "m"));
    await step("Incremental", [random("after-migration", 100_000)]);
    await restoresAtEachTime();
    times.pop();
  });

  test("migration to the other storage takes all that belongs together, or nothing", async () => {
    await runTreeOps(scenario.path(), [dirOp("mover")]);
    await runTreeOps(scenario.path("mover"), [random("a", 2_000_000), random("b", 3000)]);
    const full = await scenario.backup("mover", "Full");
    await runTreeOps(scenario.path("mover"), [random("c", 4000), { op: "remove", path: "b" }]);
    const incremental = await scenario.backup("mover", "Incremental");
    const output = await scenario.installation.console([
      ...[`run job=migrate-away jobid=${full.jobId} yes`, "wait", "messages"],
      ...["run job=migrate-away yes", "wait", "messages"],
    ]);
    assert.match(output, new RegExp(`is needed on Storage "File" by JobId ${incremental.jobId} `));
    assert.equal([...output.matchAll(/Termination: +\*\*\* Migration Error \*\*\*$/gm)].length, 1, output);
    assert.equal([...output.matchAll(/Termination: +Migration OK$/gm)].length, 2, output);
    assert.doesNotMatch(output, /Warning:/);
    await scenario.installation.kill("storaged", "SIGTERM");
    await scenario.restoresAs("mover", scenario.path("mover"));
    await scenario.installation.start("storaged");
    const listed = await scenario.installation.console(["list dependants jobid=1"]);
    assert.doesNotMatch(listed, /mover/);
  });

  test("an SQL statement chooses what is copied", async () => {
    const output = await scenario.installation.console(["run job=sql-ref yes", "wait", "messages"]);
    assert.ok(output.includes(`The following 1 JobIds were chosen to be copied: ${runs[0]}\n`), output);
    assert.match(output, /Termination: +Copying OK$/m);
  });

  test("without the originals' storage everything comes back from the copies alone", async () => {
    await restoresAtEachTime("copies");
    await scenario.installation.kill("storaged", "SIGTERM");
    await rm(scenario.path("installation", "storage"), { recursive: true });
    await restoresAtEachTime();
  });
});
