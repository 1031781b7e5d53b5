/** Jobs that share a volume, and jobs that need many. */
import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { findReport } from "../../helpers/job-report.js";
import type { Machine, Scenario, ScenarioPool } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
const INTERLEAVED = ["woven-1", "woven-2", "woven-3"];

export const volumePools: ScenarioPool[] = [{ name: "Woven" }, { name: "Small", MaximumVolumeBytes: "3 MB" }];

export const volumeMachines: Machine[] = [
  ...INTERLEAVED.map((name): Machine => ({ name, pool: "Woven", job: { ReadLimit: "6 mb/s" } })),
  { name: "spanning", pool: "Small" },
];

function manyFiles(name: string): TreeOp[] {
  const file = (path: string, size: number): TreeOp =>
    fileOp(path, { kind: "random", size, seed: `${name}${path}` });
  return [
    ...Array.from({ length: 80 }, (_, index) => file(`f${index}`, 20_000 + index * 500)),
    file("large", 5 * MIB),
    fileOp("same", { kind: "random", size: 500_000, seed: "on all" }),
  ];
}

export function volumeTests(get: () => Scenario): void {
  describe("volumes", () => {
    test("one of several interleaved jobs on one volume", async () => {
      const scenario = get();
      for (const name of INTERLEAVED) {
        await mkdir(scenario.path(name));
        await runTreeOps(scenario.path(name), manyFiles(name));
      }
      const lines = INTERLEAVED.map((name) => `run job=${name} level=Full yes`);
      const output = await scenario.installation.console([...lines, "wait", "messages"]);
      const ids = [...output.matchAll(/^Job queued\. JobId=(\d+)/gm)].map(([, id]) => Number(id));
      assert.equal(ids.length, 3, output);
      for (const id of ids) {
        const report = findReport(output, id);
        assert.equal(report?.termination, "Backup OK", output);
        assert.equal(report?.lines.get("Volume name(s)"), "Woven-0001");
      }
      for (const name of INTERLEAVED.toReversed()) await scenario.restoresAs(name, scenario.path(name));
      await runProgram(scenario.basalt, ["volume", "verify", scenario.volume("Woven-0001")]);
    });

    test("a job on many small volumes", async () => {
      const scenario = get();
      await mkdir(scenario.path("spanning"));
      await runTreeOps(scenario.path("spanning"), manyFiles("spanning"));
      const full = await scenario.backup("spanning", "Full");
      const names = (full.lines.get("Volume name(s)") ?? "").split("|");
      assert.ok(names.length >= 3, full.report);
      await scenario.restoresAs("spanning", scenario.path("spanning"));
      await runTreeOps(scenario.path("spanning"), [
        { op: "rewrite", path: "large", seed: "again" },
        { op: "rewrite", path: "f7", seed: "again" },
      ]);
      await scenario.backupAndRestore("spanning", "Incremental", scenario.path("spanning"));
      const files = (await readdir(scenario.volume(""))).filter((name) => name.startsWith("Small-"));
      await runProgram(scenario.basalt, ["volume", "verify", ...files.map((name) => scenario.volume(name))]);
    });
  });
}
