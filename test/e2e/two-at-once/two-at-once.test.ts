/** Two backups on one volume at the same time, and a restore meanwhile. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { findReport, type JobReport } from "../../helpers/job-report.js";
import { Scenario, sameTrees, wrote } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
/** Until they are let go: hours. */
const SLOW = { MaximumBandwidth: "1 kb/s" };

/** 12 MiB in files of all sizes; half of it is the same on every machine. */
function machineTree(name: string): TreeOp[] {
  const file = (path: string, size: number, seed: string): TreeOp =>
    fileOp(path, { kind: "random", size, seed });
  return [
    ...Array.from({ length: 60 }, (_, index) => file(`own-${index}`, 50_000, `${name} ${index}`)),
    ...Array.from({ length: 60 }, (_, index) => file(`shared-${index}`, 50_000, `shared ${index}`)),
    file("large-own", 3 * MIB, name),
    file("large-shared", 3 * MIB, "shared"),
  ];
}

describe("two at once", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("two-at-once", { keepConsole: true });
    await scenario.define([{ name: "first", job: SLOW }, { name: "second", job: SLOW }, { name: "earlier" }]);
    for (const name of ["first", "second", "earlier"]) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), machineTree(name));
    }
    await scenario.installation.startAll();
    await scenario.backup("earlier", "Full");
  });

  after(() => scenario?.close());

  test("both jobs share the volume, the restore does not wait for them, and all comes back", async () => {
    const where = scenario.path("meanwhile");
    const output = await scenario.installation.console([
      "run job=first level=Full yes",
      "run job=second level=Full yes",
      `restore where=${where} client=t-fd fileset=earlier select all done yes`,
      "wait jobid=4",
      "setbandwidth limit=0 client=t-fd",
      "wait",
      "messages",
    ]);
    const report = (jobId: number, termination: string): JobReport => {
      const found = findReport(output, jobId);
      assert.equal(found?.termination, termination, output);
      return found!;
    };
    const first = report(2, "Backup OK");
    const second = report(3, "Backup OK");
    const restore = report(4, "Restore OK");
    assert.equal(first.lines.get("Volume name(s)"), "Vol-0001");
    assert.equal(second.lines.get("Volume name(s)"), "Vol-0001");
    // Reports are printed in the order in which the jobs ended.
    const ended = ({ jobId }: JobReport): number => output.search(new RegExp(`^  JobId: +${jobId}$`, "m"));
    assert.ok(ended(restore) < ended(first) && ended(restore) < ended(second), output);
    await sameTrees(scenario.path("earlier"), where);
    for (const name of ["first", "second"]) await scenario.restoresAs(name, scenario.path(name));
  });

  test("the volume is sound, and what both machines hold is found by the next job", async () => {
    await runProgram(scenario.basalt, ["volume", "verify", scenario.volume("Vol-0001")]);
    for (const name of ["first", "second"]) {
      const report = await scenario.backup(name, "Full");
      wrote(report, { sent: 0 });
      await scenario.restoresAs(name, scenario.path(name));
    }
  });
});
