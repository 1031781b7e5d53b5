/** Keep-policies: what a dry run says, what then goes, and runs that take over what they need. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

export const keepMachines: Machine[] = [
  { name: "kept", job: { Keep: { Last: 2 }, AutoPrune: false } },
  { name: "always", job: { AlwaysIncremental: true, AlwaysIncrementalKeepNumber: 2 } },
];

/** A new file and a changed one per run, and a deletion. */
async function edit(root: string, step: number): Promise<void> {
  const seed = `${root}${step}`;
  if (step === 0) {
    await mkdir(root);
    await runTreeOps(root, [
      fileOp("stays", { kind: "random", size: 40_000, seed }),
      fileOp("changes", { kind: "random", size: 30_000, seed }),
    ]);
    return;
  }
  await runTreeOps(root, [
    fileOp(`new-${step}`, { kind: "random", size: 10_000 + step, seed }),
    { op: "rewrite", path: "changes", seed },
    ...(step > 1 ? [{ op: "remove" as const, path: `new-${step - 1}` }] : []),
  ]);
}

/** Numbers of the runs of a job that the director lists. */
export async function listed(scenario: Scenario, job: string): Promise<number[]> {
  const text = await scenario.installation.console([`list jobs job=${job}`]);
  return [...text.matchAll(/^\| (\d+) +\| /gm)].map(([, id]) => Number(id));
}

export function keepTests(get: () => Scenario): void {
  describe("keep-policies", () => {
    test("Keep: a dry run changes nothing; then exactly what it said goes, and the rest restores", async () => {
      const scenario = get();
      const root = scenario.path("kept");
      const ids: number[] = [];
      for (const [step, level] of ["Full", "Incremental", "Full", "Incremental"].entries()) {
        await edit(root, step);
        ids.push((await scenario.backup("kept", level)).jobId);
      }
      const dry = await scenario.installation.console(["prune jobs job=kept dry"]);
      assert.match(dry, /^2 of 4 Jobs would be pruned\. Nothing was changed\.$/m);
      for (const id of ids.slice(0, 2)) assert.match(dry, new RegExp(`^\\| ${id} +\\|.*\\| delete `, "m"));
      for (const id of ids.slice(2))
        assert.match(dry, new RegExp(`^\\| ${id} +\\|.*\\| keep .*last \\d of 2`, "m"));
      assert.deepEqual(await listed(scenario, "kept"), ids);
      const real = await scenario.installation.console([
        "prune jobs job=kept yes",
        "prune jobs job=kept yes",
      ]);
      assert.match(real, /^Pruned 2 Jobs for client t-fd from catalog\.$/m);
      assert.match(real, /^No Jobs found to prune\.$/m);
      assert.deepEqual(await listed(scenario, "kept"), ids.slice(2));
      await scenario.restoresAs("kept", root);
    });

    test("AlwaysIncremental: after each run the oldest kept one becomes the Full; all kept states restore", async () => {
      const scenario = get();
      const root = scenario.path("always");
      const states: { id: number; saved: string }[] = [];
      for (let step = 0; step < 4; step++) {
        await edit(root, step);
        const report = await scenario.backup("always", step === 0 ? "Full" : "Incremental");
        const saved = scenario.path(`always-${step}`);
        await copyTree(root, saved);
        states.push({ id: report.jobId, saved });
        if (step === 0) assert.match(report.report, /^.*Begin pruning Jobs beyond Keep Last 2\.$/m);
      }
      const [older, newer] = states.slice(-2) as [(typeof states)[0], (typeof states)[0]];
      assert.deepEqual(await listed(scenario, "always"), [older.id, newer.id]);
      const text = await scenario.installation.console([`llist jobid=${older.id}`]);
      assert.match(text, /^ +Level: F$/m);
      await scenario.restoreEach("always", [
        { expected: older.saved, jobIds: [older.id] },
        { expected: newer.saved, jobIds: [older.id, newer.id] },
        { expected: newer.saved },
      ]);
    });
  });
}
