/** References that are rebuilt, and Bases and runs in different pools. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reportNumber } from "../../helpers/job-report.js";
import { copyTree, type Machine, type Scenario, type ScenarioPool, wrote } from "../../helpers/scenario.js";
import { fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

export const basePools: ScenarioPool[] = [{ name: "Other" }, { name: "Plain", Deduplicate: false }];

export const baseMachines: Machine[] = [
  { name: "monthly", level: "Base" },
  { name: "tenant", base: ["tenant", "monthly"] },
  { name: "elsewhere", base: ["reference"], pool: "Other", job: { IncrementalPool: "Default" } },
  { name: "plain-reference", level: "Base", pool: "Plain" },
  { name: "plain-vm", base: ["plain-reference"], pool: "Plain" },
];

/** New content, new metadata of old content, a deletion. */
function edits(seed: string): TreeOp[] {
  return [
    { op: "rewrite", path: "etc/conf", seed },
    { op: "touch", path: "etc/conf" },
    { op: "change", path: "large", mode: 0o640 },
    { op: "remove", path: "pairs/linked-1" },
    fileOp(`new-${seed}`, { kind: "random", size: 2_500_000, seed }),
  ];
}

export function baseTests(get: () => Scenario): void {
  const runThrough = async (name: string): Promise<void> => {
    const scenario = get();
    const root = scenario.path(name);
    await copyTree(scenario.path("reference"), root);
    const full = await scenario.backup(name, "Full");
    wrote(full, { files: 0, sent: 0 });
    assert.equal(scenario.rows(full.jobId), 0);
    await runTreeOps(root, edits("first"));
    const incremental = await scenario.backupAndRestore(name, "Incremental");
    assert.ok(reportNumber(incremental, "FD Bytes Sent") > 2_500_000, incremental.report);
    await scenario.backupAndRestore(name, "Full");
    await runTreeOps(root, [{ op: "remove", path: "large" }]);
    await scenario.backupAndRestore(name, "Differential");
  };

  describe("Bases", () => {
    test("a rebuilt reference: old runs keep the Base they have, the next Full takes the new one", async () => {
      const scenario = get();
      const [reference, root] = [scenario.path("monthly"), scenario.path("tenant")];
      await copyTree(scenario.path("reference"), reference);
      const first = await scenario.backup("monthly", "Base");
      await copyTree(reference, root);
      await runTreeOps(root, [fileOp("own", { kind: "text", size: 70, seed: "own" })]);
      const saved = scenario.path("tenant-saved");
      await copyTree(root, saved);
      const old = await scenario.backup("tenant", "Full");
      assert.match(old.report, new RegExp(`Using BaseJobId\\(s\\): ${first.jobId}$`, "m"));

      await runTreeOps(reference, edits("rebuilt"));
      const second = await scenario.backup("monthly", "Base");
      const incremental = await scenario.backupAndRestore("tenant", "Incremental");
      assert.equal(scenario.rows(incremental.jobId), 0, incremental.report);
      // The machine is patched as its reference was.
      await runTreeOps(root, edits("rebuilt"));
      wrote(await scenario.backupAndRestore("tenant", "Incremental"), { sent: 0 });
      const full = await scenario.backupAndRestore("tenant", "Full");
      assert.match(full.report, new RegExp(`Using BaseJobId\\(s\\): ${second.jobId}$`, "m"));
      wrote(full, { sent: 0 });
      await scenario.restoreEach("tenant", [
        { expected: saved, jobIds: [old.jobId] },
        { expected: saved, jobIds: [old.jobId, incremental.jobId] },
      ]);
    });

    test("a machine whose runs go to other pools than its Base", () => runThrough("elsewhere"));

    test("a pool without deduplication", async () => {
      await copyTree(get().path("reference"), get().path("plain-reference"));
      await get().backup("plain-reference", "Base");
      await runThrough("plain-vm");
    });
  });
}
