/** Catalog and director's database lost, volumes left: everything comes back, and goes on. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { copyTree, pointInTime, Scenario, wrote } from "../../helpers/scenario.js";
import { makeOddTree } from "../../helpers/tree.js";
import { runProgram } from "../../helpers/tree-ops.js";

/** rsync gives up above 4,095 bytes; the other comparison sees it. */
const rsyncExclude = ["/deep"];

let scenario: Scenario;
const times: string[] = [];

before(async () => {
  scenario = await Scenario.create("scan", { keepConsole: true });
  const { installation } = scenario;
  await makeOddTree(scenario.path("reference"));
  await copyTree(scenario.path("reference"), scenario.path("vm"));
  await writeFile(scenario.path("vm", "of-the-vm"), "first\n");
  await mkdir(scenario.path("other"));
  await writeFile(scenario.path("other", "file"), "on a volume of its own\n");
  await scenario.define(
    [
      { name: "reference", level: "Base" },
      { name: "vm", base: ["reference"] },
      { name: "other", pool: "Elsewhere" },
    ],
    [{ name: "Elsewhere" }],
  );
  await installation.startAll();
});
after(() => scenario.close());

async function edit(text: string, gone: string): Promise<void> {
  await copyTree(scenario.path("vm"), scenario.path(`state-${times.length}`));
  times.push(await pointInTime());
  await writeFile(scenario.path("vm", "of-the-vm"), text);
  await rm(scenario.path("vm", gone), { recursive: true });
}

async function volumes(): Promise<string[]> {
  const directory = join(scenario.installation.dir, "storage");
  return (await readdir(directory)).map((name) => join(directory, name));
}

/** Loses the catalog, and with `all` the director's database; scans the volumes; gives what the scan said. */
async function loseAndScan(all: boolean): Promise<string> {
  const { installation } = scenario;
  await installation.stop();
  for (const daemon of all ? ["storaged", "director"] : ["storaged"]) {
    const directory = join(installation.dir, "var", daemon);
    for (const name of await readdir(directory)) {
      if (/\.db(-wal|-shm)?$/.test(name)) await rm(join(directory, name));
    }
  }
  const args = ["volume", "scan", ...(await volumes()), "-c", join(installation.dir, "storaged.yaml")];
  return runProgram(scenario.basalt, args);
}

test("every state of a machine on a Base is restored from a scanned catalog", async () => {
  const { installation } = scenario;
  await scenario.backup("reference", "Base");
  await scenario.backup("other", "Full");
  await scenario.backup("vm", "Full");
  const names = (await readdir(scenario.path("vm"))).filter((name) => /^[a-z]+$/.test(name));
  await edit("second\n", names[0]!);
  await scenario.backup("vm", "Incremental");
  await edit("third\n", names[1]!);
  await scenario.backup("vm", "Incremental");
  const jobsBefore = await installation.console(["list jobs"]);
  const said = await loseAndScan(true);
  assert.match(said, /\n5 jobs can be restored\n/);
  await installation.startAll();
  await scenario.restoreEach("vm", [
    { expected: scenario.path("state-0"), before: times[0]!, rsyncExclude },
    { expected: scenario.path("state-1"), before: times[1]!, rsyncExclude },
    { expected: scenario.path("vm"), rsyncExclude },
  ]);
  const jobsAfter = await installation.console(["list jobs"]);
  const rows = (text: string) =>
    text
      .split("\n")
      .filter((line) => /^\| [1-5] +\|/.test(line))
      // Volumes say when the storage daemon began; the director knew when it did itself, a moment earlier.
      .map((line) => line.replace(/ +/g, " ").replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, "START"));
  assert.deepEqual(rows(jobsAfter), rows(jobsBefore));
  assert.equal(rows(jobsAfter).length, 5);
});

test("the next Incremental reads everything once and stores nothing", async () => {
  const report = await scenario.backup("vm", "Incremental");
  wrote(report, { files: 0, sent: 0 });
  await writeFile(scenario.path("vm", "of-the-vm"), "fourth\n");
  await scenario.backupAndRestore("vm", "Incremental", scenario.path("vm"), { rsyncExclude });
});

test("a damaged volume costs its own jobs alone", async () => {
  const { installation } = scenario;
  const path = (await volumes()).find((name) => name.includes("Elsewhere"))!;
  const bytes = await readFile(path);
  const kept = scenario.path("kept");
  await copyFile(path, kept);
  // The label stays, everything behind it is gone.
  bytes.fill(0x55, bytes.readUInt32LE(4) + 8);
  await writeFile(path, bytes);
  await installation.stop();
  await assert.rejects(loseAndScan(false), /at byte \d+: not a record/);
  await installation.startAll();
  await scenario.restoresAs("vm", scenario.path("vm"), { rsyncExclude });
  await installation.stop();
  await copyFile(kept, path);
  assert.match(await loseAndScan(false), /\n7 jobs can be restored\n/);
  await installation.startAll();
  await scenario.restoresAs("other", scenario.path("other"));
});
