/** Files that grow, shrink, vanish and change while they are read. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { REPOSITORY } from "../../helpers/root.js";
import { type Machine, type Scenario, wrote } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
const VANISHING = 1500;

/** Slow enough that the writer meets the reader. */
export const racingMachines: Machine[] = [
  { name: "racing", job: { ReadLimit: "25 mb/s", ClientRunBeforeJob: "begin" } },
];

function startWriter(root: string, flag: string): ChildProcess {
  const program = join(REPOSITORY, "test", "e2e", "matching", "writer.py");
  return spawn("python3", [program, root, flag], { stdio: ["ignore", "inherit", "inherit"] });
}

export function racingTests(get: () => Scenario): void {
  describe("files that change while they are read", () => {
    test("each is warned of, the rest is right, and the next run has them all", async () => {
      const scenario = get();
      const root = scenario.path("racing");
      const flag = scenario.path("racing-begin");
      const hook = join(scenario.installation.dir, "hooks", "begin");
      await writeFile(hook, `#!/bin/sh\necho begin >'${flag}'\n`);
      await chmod(hook, 0o700);
      await mkdir(root);
      const random = (path: string, size: number) => fileOp(path, { kind: "random", size, seed: path });
      await runTreeOps(root, [
        dirOp("a"),
        random("a/growing", 25 * MIB),
        random("a/shrinking", 25 * MIB),
        random("a/stable", 2 * MIB),
        dirOp("b"),
        random("b/small-growing", 900_000),
        random("b/stable", 900_000),
        dirOp("c"),
        { op: "many", path: "c", count: VANISHING },
        random("z-stable", 3 * MIB),
      ]);
      const writer = startWriter(root, flag);
      try {
        const report = await scenario.backup("racing", "Full", "Backup OK -- with warnings");
        for (const name of ["/a/growing", "/a/shrinking"])
          assert.match(report.report, new RegExp(`Warning: .*"?${name}"?.*changed`), report.report);
        assert.doesNotMatch(report.report, /stable/);
      } finally {
        writer.kill();
      }
      const where = await scenario.restore("racing");
      for (const name of ["a/stable", "b/stable", "z-stable"]) {
        assert.ok((await readFile(`${where}/${name}`)).equals(await readFile(`${root}/${name}`)), name);
      }
      // A state that the file went through: as many bytes as the row says, from its beginning.
      assert.ok((await stat(`${where}/a/growing`)).size >= 25 * MIB);
      await truncate(`${root}/a/growing`, 26 * MIB);
      const next = await scenario.backup("racing", "Incremental");
      await scenario.restoresAs("racing", root);
      assert.ok(next.jobId > 0);
      wrote(await scenario.backup("racing", "Incremental"), { files: 0, sent: 0 });
    });
  });
}
