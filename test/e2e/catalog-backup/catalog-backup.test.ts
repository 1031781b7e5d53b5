/** The job BackupCatalog of a new installation, and the way back from it after everything but the volumes was lost. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { copyTree, pointInTime, Scenario } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

let scenario: Scenario;
let firstTime: string;
let catalogJob: number;

before(async () => {
  scenario = await Scenario.create("catalog-backup");
  await mkdir(scenario.path("vm"));
  await runTreeOps(scenario.path("vm"), [
    fileOp("small", { kind: "random", size: 30_000, seed: "small" }),
    fileOp("large", { kind: "random", size: 2_500_000, seed: "large" }),
  ]);
  await scenario.define([{ name: "vm" }]);
  await scenario.installation.startAll();
});
after(() => scenario?.close());

const at = (...parts: string[]): string => join(scenario.installation.dir, ...parts);

async function volumes(): Promise<string[]> {
  return (await readdir(at("storage"))).map((name) => at("storage", name));
}

test("copies are made and backed up while both databases are in use", async () => {
  await scenario.backup("vm", "Full");
  await copyTree(scenario.path("vm"), scenario.path("first"));
  firstTime = await pointInTime();
  const report = await scenario.backup("BackupCatalog", "Full");
  catalogJob = report.jobId;
  assert.match(report.report, /BeforeJob: .*catalog\.db copied to .*storaged\.db/);
  assert.match(report.report, /BeforeJob: .*director\.db copied to .*director\.db/);
  assert.notEqual(report.lines.get("FD Files Written"), "0", report.report);
  // What comes later is in no copy.
  await writeFile(scenario.path("vm", "later"), "after the copy\n");
  await scenario.backup("vm", "Incremental");
});

test("with both databases lost, their copies come back from the volumes, and what came later too", async () => {
  const { installation } = scenario;
  await installation.stop();
  for (const daemon of ["storaged", "director"]) {
    for (const name of await readdir(at("var", daemon)))
      if (/\.db(-wal|-shm)?$/.test(name)) await rm(at("var", daemon, name));
  }
  const target = scenario.path("catalog");
  const wanted = ["--job", String(catalogJob), "--path", at("var", "catalog"), "--to", target];
  await runProgram(scenario.basalt, ["volume", "extract", ...(await volumes()), ...wanted]);
  await copyFile(join(target, at("var", "catalog", "storaged.db")), at("var", "storaged", "catalog.db"));
  await copyFile(join(target, at("var", "catalog", "director.db")), at("var", "director", "director.db"));
  // Started before anything else is done: nothing is cut off.
  await installation.start("storaged");
  assert.match(installation.log("storaged"), /holds jobs, or lists of them, that the catalog does not know/);
  await installation.stop();
  const args = ["volume", "scan", ...(await volumes()), "-c", at("storaged.yaml"), "--add"];
  await runProgram(scenario.basalt, args);
  await installation.startAll();
  await scenario.restoreEach("vm", [
    { expected: scenario.path("first"), before: firstTime },
    { expected: scenario.path("vm") },
  ]);
});

test("backups go on", async () => {
  await writeFile(scenario.path("vm", "last"), "after the way back\n");
  await scenario.backupAndRestore("vm", "Incremental");
});
