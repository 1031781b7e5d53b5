/** Lists of files: of the director and of the client, from files and from commands. */
import assert from "node:assert/strict";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { writeScript } from "../../helpers/running.js";
import { type Scenario, sameTrees } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const file = (path: string) => fileOp(path, { kind: "text", size: 300, seed: path });

export function listTests(get: () => Scenario): void {
  describe("lists of files", () => {
    let tree: string;
    let list: string;
    /** What a restore of a list that names `lib` and `etc/one` must bring, below the tree's own path. */
    const restoresSome = async (machine: string): Promise<void> => {
      const where = await get().restore(machine);
      assert.deepEqual(await readdir(where + tree), ["etc", "lib"]);
      assert.deepEqual(await readdir(`${where}${tree}/etc`), ["one"]);
      await sameTrees(`${tree}/lib`, `${where}${tree}/lib`);
    };

    test("of the director: read at the start of each job", async () => {
      const scenario = get();
      tree = scenario.path("tree");
      list = scenario.path("list");
      await mkdir(tree);
      await runTreeOps(tree, [
        dirOp("lib", { mode: 0o751 }),
        file("lib/a"),
        file("lib/b b"),
        dirOp("etc"),
        file("etc/one"),
        file("etc/two"),
      ]);
      await writeFile(list, `${tree}/lib\n${tree}/etc/one\n\n# a remark\n`);
      await scenario.redefine([{ name: "by-list", root: "/", files: [`<${list}`] }]);
      await scenario.backup("by-list", "Full");
      await restoresSome("by-list");
      await writeFile(list, `${tree}/etc/two\n${tree}/lib\n`);
      await scenario.backup("by-list", "Incremental");
      const where = await scenario.restore("by-list");
      assert.deepEqual(await readdir(`${where}${tree}/etc`), ["two"]);
    });

    test("a name that is not there is a warning, a list that is not there ends the job", async () => {
      const scenario = get();
      await writeFile(list, `${tree}/gone\n${tree}/lib\nlib\n`);
      const report = await scenario.backup("by-list", "Full", "Backup OK -- with warnings");
      assert.match(report.report, /Could not stat ".*\/tree\/gone": ERR=/);
      assert.match(report.report, /"lib" of the list .* is not an absolute path/);
      await rm(list);
      const failed = await scenario.backup("by-list", "Full", "*** Backup Error ***");
      assert.match(failed.report, /Cannot open included file: .*\/list\. ERR=/);
    });

    test("made by a command of the director, with %-codes, and without a shell", async () => {
      const scenario = get();
      const make = scenario.path("make-list");
      await writeScript(make, ['test "$1" = by-command || exit 5', `echo ${tree}/lib; echo "$2/etc/one"`]);
      await scenario.redefine([
        { name: "by-command", root: "/", files: [`|${make} %n ${tree}`] },
        { name: "fails", root: "/", files: [`|${make} %n ${tree}`] },
        { name: "no-shell", root: "/", files: [`|echo ${tree}/lib; echo ${tree}/etc`] },
        { name: "own-shell", root: "/", files: [`|sh -c "echo ${tree}/lib; echo ${tree}/etc/one"`] },
      ]);
      await scenario.backup("by-command", "Full");
      await restoresSome("by-command");
      await scenario.backup("own-shell", "Full");
      await restoresSome("own-shell");
      const failed = await scenario.backup("fails", "Full", "*** Backup Error ***");
      assert.match(failed.report, /Error running program: .*make-list.* stat=5/);
      const literal = await scenario.backup("no-shell", "Full", "Backup OK -- with warnings");
      assert.match(literal.report, /Could not stat ".*lib; echo .*": ERR=/);
    });

    test("read and made on the client, after its own commands, as far as its configuration goes", async () => {
      const scenario = get();
      const hooks = join(scenario.installation.dir, "hooks");
      const there = scenario.path("client-list");
      await writeScript(join(hooks, "write-list"), [`printf '${tree}/lib\\n${tree}/etc/one\\n' > ${there}`]);
      await writeScript(join(hooks, "say-list"), [`cat ${there}`]);
      const job = { ClientRunBeforeJob: "write-list" };
      await scenario.redefine([
        { name: "client-file", root: "/", files: [`\\<${there}`], job },
        { name: "client-command", root: "/", files: ["\\|say-list"] },
        { name: "client-forbidden", root: "/", files: ["\\|/bin/cat /etc/passwd"] },
      ]);
      await scenario.backup("client-file", "Full");
      await restoresSome("client-file");
      await scenario.backup("client-command", "Full");
      await restoresSome("client-command");
      const failed = await scenario.backup("client-forbidden", "Full", "*** Backup Error ***");
      assert.match(failed.report, /does not run \/bin\/cat: it lies outside of .*HookDirectories/);
    });

    test("names are bytes; links are named, not followed", async () => {
      const scenario = get();
      await writeFile(Buffer.from(`${tree}/\xfc`, "latin1"), "not UTF-8");
      await symlink("lib", `${tree}/link`);
      await writeFile(list, Buffer.from(`${tree}/\xfc\n${tree}/link\n`, "latin1"));
      await scenario.backup("by-list", "Full");
      const where = await scenario.restore("by-list");
      const names = await readdir(where + tree, "latin1" as BufferEncoding);
      assert.deepEqual(names.sort(), ["link", "\xfc"]);
    });

    test("estimate and Verify read them too", async () => {
      const scenario = get();
      const output = await scenario.installation.console(["estimate job=by-command level=Full listing"]);
      assert.match(output, /2000 OK estimate files=4 bytes=900/);
      assert.match(output, /^-rw-.* \/.*\/tree\/etc\/one$/m);
    });
  });
}
