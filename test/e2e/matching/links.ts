/** Hard links between a reference and a machine, and from run to run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario, wrote } from "../../helpers/scenario.js";
import { fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const MTIME = { mtimeNs: "1700000000123456789" };

export const linkMachines: Machine[] = ["separated", "joined", "regrouped", "moved-links"].map((name) => ({
  name,
  base: ["reference"],
}));

const remove = (path: string): TreeOp => ({ op: "remove", path });
const link = (path: string, target: string): TreeOp => ({ op: "entry", type: "link", path, target });
const single = (path: string, size: number, seed: string): TreeOp =>
  fileOp(path, { kind: "random", size, seed }, MTIME);

export function linkTests(get: () => Scenario): void {
  const check = async (name: string, ops: TreeOp[]): Promise<void> => {
    const root = get().path(name);
    await copyTree(get().path("reference"), root);
    await runTreeOps(root, [
      ...ops,
      { op: "change", path: "pairs", ...MTIME },
      { op: "change", path: "", ...MTIME },
    ]);
    const full = await get().backup(name, "Full");
    wrote(full, { sent: 0 });
    await get().restoresAs(name, root);
    const again = await get().backup(name, "Incremental");
    assert.equal(get().rows(again.jobId), 0, again.report);
  };

  describe("hard links", () => {
    test("linked in the reference, separate in the machine", () =>
      check("separated", [remove("pairs/linked-2"), single("pairs/linked-2", 5000, "pair")]));

    test("separate in the reference, linked in the machine", () =>
      check("joined", [remove("pairs/separate-2"), link("pairs/separate-2", "pairs/separate-1")]));

    test("grouped differently: the first member leaves, another one joins", () =>
      check("regrouped", [
        remove("pairs/trio-1"),
        single("pairs/trio-1", 7000, "trio"),
        link("pairs/trio-4", "pairs/trio-2"),
        remove("pairs/linked-1"),
        link("pairs/linked-1", "pairs/separate-2"),
      ]));

    test("from run to run", async () => {
      await check("moved-links", []);
      const root = get().path("moved-links");
      const steps: TreeOp[][] = [
        [link("etc/trio-0", "trio-3")],
        [remove("etc/trio-0"), remove("pairs/trio-1")],
        [remove("pairs/trio-2"), single("pairs/trio-2", 7000, "trio")],
        [remove("trio-3"), link("trio-3", "pairs/trio-2"), remove("pairs/linked-1")],
        [{ op: "rename", path: "pairs/trio-2", to: "a-first" }, link("zz-last", "a-first")],
        [{ op: "insert", path: "a-first", at: 10, content: { kind: "text", size: 5 } }],
      ];
      for (const step of steps) {
        await runTreeOps(root, step);
        await get().backupAndRestore("moved-links", "Incremental", root);
      }
      await get().backupAndRestore("moved-links", "Full", root);
    });
  });
}
