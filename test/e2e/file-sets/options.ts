/** Options that change names, or which files there are. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, stat, utimes } from "node:fs/promises";
import { describe, test } from "node:test";
import { type Scenario, sameTrees } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const file = (path: string) => fileOp(path, { kind: "text", size: 300, seed: path });

export function optionTests(get: () => Scenario): void {
  describe("options", () => {
    test("StripPath: names come back without their first components", async () => {
      const scenario = get();
      const tree = scenario.path("strip");
      await mkdir(tree);
      await runTreeOps(tree, [dirOp("top"), file("top/a"), dirOp("top/sub"), file("top/sub/b")]);
      const components = tree.split("/").length - 1;
      const options = { StripPath: components, WildFile: [`${tree}/top/a`], Exclude: true };
      const blocks = [options, { StripPath: components }] as unknown as Record<string, unknown>;
      await scenario.redefine([{ name: "strip", root: "/", files: [`${tree}/top`], options: blocks }]);
      await scenario.backup("strip", "Full");
      const where = await scenario.restore("strip");
      assert.deepEqual(await readdir(where), ["top"]);
      assert.deepEqual(await readdir(`${where}/top`), ["sub"]);
      await sameTrees(`${tree}/top/sub`, `${where}/top/sub`);
    });

    test("KeepAtime: a file's time of access is the same after it was read", async () => {
      const scenario = get();
      const tree = scenario.path("atime");
      await mkdir(tree);
      await runTreeOps(tree, [file("f")]);
      await utimes(`${tree}/f`, 1_000_000_000, 1_500_000_000);
      const before = await stat(`${tree}/f`, { bigint: true });
      await scenario.redefine([{ name: "atime", root: "/", files: [tree], options: { KeepAtime: true } }]);
      await scenario.backup("atime", "Full");
      const after = await stat(`${tree}/f`, { bigint: true });
      assert.equal(after.atimeNs, before.atimeNs);
      assert.equal(after.ctimeNs, before.ctimeNs);
    });

    test("HonorNoDumpFlag leaves out what has the attribute", async () => {
      const scenario = get();
      const tree = scenario.path("nodump");
      await mkdir(tree);
      await runTreeOps(tree, [file("keep"), file("skip"), dirOp("dir"), file("dir/f")]);
      execFileSync("chattr", ["+d", `${tree}/skip`, `${tree}/dir`]);
      const options = { HonorNoDumpFlag: true };
      await scenario.redefine([
        { name: "nodump", root: "/", files: [tree], options },
        { name: "dump", root: "/", files: [tree] },
      ]);
      const report = await scenario.backup("nodump", "Full");
      assert.match(report.report, /NODUMP flag set - will not process .*\/skip/);
      const where = await scenario.restore("nodump");
      assert.deepEqual(await readdir(where + tree), ["keep"]);
      await scenario.backup("dump", "Full");
      assert.deepEqual(await readdir((await scenario.restore("dump")) + tree), ["dir", "keep", "skip"]);
    });
  });
}
