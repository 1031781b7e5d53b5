/** Deletions: exactly what went away, and only where it was looked for. */
import assert from "node:assert/strict";
import { chmod, mkdir, rm } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario, sameTrees } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

export const deletionMachines: Machine[] = [{ name: "siblings" }, { name: "types" }, { name: "unreadable" }];

const MTIME = { mtimeNs: "1700000000000000005" };
const file = (path: string): TreeOp => fileOp(path, { kind: "text", size: 30, seed: path }, MTIME);
const tree = (path: string): TreeOp[] => [
  dirOp(path),
  file(`${path}/b`),
  dirOp(`${path}/c`),
  file(`${path}/c/d`),
];

/** Without these root may read no more than its files' modes say. */
const DROP_PRIVILEGE = [
  "setpriv",
  "--bounding-set=-dac_override,-dac_read_search",
  "--inh-caps=-dac_override,-dac_read_search",
];

export function deletionTests(get: () => Scenario): void {
  describe("deletions", () => {
    test("`a`, `a/b`, `a-b`, `a.b` and their like never mix", async () => {
      const root = get().path("siblings");
      await mkdir(root);
      const all = ["a", "a-b", "a.b", "a b", "a0", "a\x80", "a\xff", "a\x01", "ab"];
      await runTreeOps(root, all.flatMap(tree));
      await get().backup("siblings", "Full");
      const steps: TreeOp[][] = [
        [{ op: "remove", path: "a" }],
        [...tree("a"), { op: "remove", path: "a-b" }],
        [{ op: "remove", path: "a/b" }, { op: "remove", path: "a.b" }, file("a-b")],
        [
          { op: "remove", path: "a" },
          file("a"),
          { op: "remove", path: "a\xff" },
          { op: "remove", path: "a\x01/c" },
        ],
        [{ op: "remove", path: "a" }, ...tree("a"), { op: "remove", path: "a0/c/d" }],
      ];
      for (const [index, step] of steps.entries()) {
        await runTreeOps(root, step);
        await get().backupAndRestore("siblings", index === 2 ? "Differential" : "Incremental", root);
      }
    });

    test("one row deletes a subtree; what takes its place is of another type", async () => {
      const root = get().path("types");
      await mkdir(root);
      await runTreeOps(root, [...tree("x"), ...tree("y"), { op: "many", path: "x", count: 500 }]);
      await get().backup("types", "Full");
      await runTreeOps(root, [{ op: "remove", path: "x" }]);
      const report = await get().backup("types", "Incremental");
      // The root's own changed times, and the deletion.
      assert.equal(get().rows(report.jobId), 2, report.report);
      await get().restoresAs("types", root);
      const replacements: TreeOp[] = [
        file("y"),
        { op: "entry", type: "symlink", path: "y", target: "nowhere" },
        { op: "entry", type: "fifo", path: "y" },
      ];
      for (const op of replacements) {
        await runTreeOps(root, [{ op: "remove", path: "y" }, op]);
        await get().backupAndRestore("types", "Incremental", root);
      }
      await runTreeOps(root, [{ op: "remove", path: "y" }, ...tree("y")]);
      await get().backupAndRestore("types", "Incremental", root);
    });

    test("a directory that cannot be read deletes nothing", async () => {
      const { installation } = get();
      const root = get().path("unreadable");
      await mkdir(root);
      await runTreeOps(root, [...tree("shut"), ...tree("open"), file("secret")]);
      await get().backup("unreadable", "Full");
      const saved = get().path("unreadable-saved");
      await copyTree(root, saved);
      await installation.kill("filed", "SIGTERM");
      await installation.start("filed", process.getuid?.() === 0 ? DROP_PRIVILEGE : []);
      try {
        await chmod(`${root}/shut`, 0);
        await chmod(`${root}/secret`, 0);
        await rm(`${root}/open/b`);
        const report = await get().backup("unreadable", "Incremental", "Backup OK -- with warnings");
        assert.match(report.report, /"\/shut": ERR=/);
        assert.match(report.report, /"\/secret": ERR=/);
      } finally {
        await installation.kill("filed", "SIGTERM");
        await installation.start("filed");
      }
      const where = await get().restore("unreadable");
      await chmod(`${saved}/shut`, 0);
      await runTreeOps(saved, [{ op: "remove", path: "open/b" }]);
      assert.deepEqual(await get().names(where), await get().names(saved));
      await sameTrees(`${saved}/shut`, `${where}/shut`);

      await chmod(`${root}/shut`, 0o755);
      await chmod(`${root}/secret`, 0o644);
      await rm(`${root}/shut/b`);
      await get().backupAndRestore("unreadable", "Incremental", root);
    });
  });
}
