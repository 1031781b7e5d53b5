/** Options that change names, or which files there are. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { reportNumber } from "../../helpers/job-report.js";
import { writeScript } from "../../helpers/running.js";
import { type Scenario, sameTrees } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const file = (path: string) => fileOp(path, { kind: "text", size: 300, seed: path });

/** There are two restore jobs. */
const RESTORE = { words: "restorejob=RestoreFiles" };

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

    test("ReadFifo: what is written to a pipe comes back through a pipe, or as a file", async () => {
      const scenario = get();
      const tree = scenario.path("fifo");
      await mkdir(tree);
      await runTreeOps(tree, [file("plain")]);
      const sizes: Record<string, number> = { small: 5000, large: 5_000_000, empty: 0 };
      for (const [name, size] of Object.entries(sizes)) {
        await writeFile(scenario.path(`${name}-in`), randomBytes(size));
        execFileSync("mkfifo", [`${tree}/${name}`]);
      }
      const hooks = `${scenario.installation.dir}/hooks`;
      const [feed, drain] = [scenario.path("restored-fifo"), scenario.path("drained")];
      await writeScript(`${hooks}/feed`, [
        `cd ${tree}; for name in small large; do cat ${scenario.dir}/$name-in > $name & done`,
        "(exec > empty; sleep 3) &",
      ]);
      await writeScript(`${hooks}/drain`, [
        `mkdir -p ${feed}${tree} ${drain}; cd ${feed}${tree}`,
        `for name in small large empty; do mkfifo $name; cat $name > ${drain}/$name & done`,
      ]);
      const options = { ReadFifo: true };
      const job = { ClientRunBeforeJob: "feed" };
      await scenario.redefine([{ name: "fifo", root: "/", files: [tree], options, job }]);
      await scenario.installation.writeResources("drain", {
        Job: [
          {
            Name: "Drain",
            Type: "Restore",
            Client: "t-fd",
            Messages: "Standard",
            ClientRunBeforeJob: "drain",
          },
        ],
      });
      await scenario.installation.console(["reload"]);
      const saved = await scenario.backup("fifo", "Full");
      assert.equal(reportNumber(saved, "FD Files Written"), 5, saved.report);
      const more = { fileSet: "fifo" };
      await scenario.restore("fifo", { ...more, where: feed, words: "restorejob=Drain" });
      const plain = await scenario.restore("fifo", { ...more, ...RESTORE });
      for (const [name, size] of Object.entries(sizes)) {
        const bytes = await readFile(scenario.path(`${name}-in`));
        assert.ok((await readFile(`${drain}/${name}`)).equals(bytes), `${name} through the pipe`);
        assert.ok((await readFile(`${plain}${tree}/${name}`)).equals(bytes), `${name} as a file`);
        assert.equal((await stat(`${feed}${tree}/${name}`)).isFIFO(), true);
        assert.equal((await stat(`${plain}${tree}/${name}`)).size, size);
      }
      await writeFile(`${scenario.dir}/large-in`, randomBytes(3_000_000));
      await scenario.backup("fifo", "Incremental");
      const again = await scenario.restore("fifo", { ...more, ...RESTORE });
      assert.ok((await readFile(`${again}${tree}/large`)).equals(await readFile(`${scenario.dir}/large-in`)));
    });

    test("a pipe without ReadFifo is a pipe", async () => {
      const scenario = get();
      const tree = scenario.path("pipes");
      await mkdir(tree);
      execFileSync("mkfifo", [`${tree}/p`]);
      await scenario.redefine([{ name: "pipes", root: "/", files: [tree] }]);
      await scenario.backup("pipes", "Full");
      const where = await scenario.restore("pipes", RESTORE);
      assert.equal((await stat(`${where}${tree}/p`)).isFIFO(), true);
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
      const where = await scenario.restore("nodump", RESTORE);
      assert.deepEqual(await readdir(where + tree), ["keep"]);
      await scenario.backup("dump", "Full");
      assert.deepEqual(await readdir((await scenario.restore("dump", RESTORE)) + tree), [
        "dir",
        "keep",
        "skip",
      ]);
    });
  });
}
