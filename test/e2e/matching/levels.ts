/** Levels: what a run is made into, what it stands on, and which runs fail before they could do harm. */
import assert from "node:assert/strict";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario, wrote } from "../../helpers/scenario.js";

const FAILED = "*** Backup Error ***";

export const levelMachines: Machine[] = [
  { name: "upgraded" },
  { name: "upgraded-differential" },
  { name: "changed-fileset" },
  { name: "no-such-base", base: ["nothing-at-all-base"] },
  { name: "nothing-at-all-base", level: "Base" },
  { name: "own-name", base: ["own-name"] },
  { name: "lost-root" },
  { name: "empty-root" },
];

export function levelTests(get: () => Scenario): void {
  const newMachine = async (name: string): Promise<string> => {
    const root = get().path(name);
    await copyTree(get().path("reference"), root);
    return root;
  };

  describe("levels", () => {
    for (const [name, level] of [
      ["upgraded", "Incremental"],
      ["upgraded-differential", "Differential"],
    ] as const) {
      test(`${level} without a prior Full becomes one, with Bacula's messages`, async () => {
        const root = await newMachine(name);
        const report = await get().backup(name, level);
        assert.match(report.report, /: No prior Full backup Job record found\.$/m);
        assert.match(
          report.report,
          /: No prior or suitable Full backup found in catalog\. Doing FULL backup\.$/m,
        );
        assert.equal(report.lines.get("Backup Level"), `Full (upgraded from ${level})`);
        await get().restoresAs(name, root);
        const next = await get().backup(name, level);
        assert.match(next.lines.get("Backup Level") ?? "", new RegExp(`^${level}, since=\\d{4}-`));
        wrote(next, { files: 0 });
      });
    }

    test("a changed FileSet forces a Full", async () => {
      const root = await newMachine("changed-fileset");
      await get().backup("changed-fileset", "Full");
      await get().redefine([{ name: "changed-fileset", exclude: ["/bin"] }]);
      const report = await get().backup("changed-fileset", "Incremental");
      assert.match(
        report.report,
        /: No prior or suitable Full backup found in catalog.*\. Doing FULL backup\.$/m,
      );
      assert.equal(report.lines.get("Backup Level"), "Full (upgraded from Incremental)");
      await rm(`${root}/bin`, { recursive: true });
      const where = await get().restore("changed-fileset");
      assert.deepEqual(
        (await get().names(where)).filter((name) => name.startsWith("bin")),
        [],
      );
    });

    test("a Base that resolves to nothing is warned of; the job's own name is not", async () => {
      const root = await newMachine("no-such-base");
      const report = await get().backup("no-such-base", "Full", "Backup OK -- with warnings");
      assert.match(report.report, /Warning: .*"nothing-at-all-base"/);
      await get().restoresAs("no-such-base", root);
      await newMachine("own-name");
      await get().backupAndRestore("own-name", "Full", root);
    });

    test("a missing root fails the job, and the failed run is nobody's parent", async () => {
      const root = await newMachine("lost-root");
      await get().backup("lost-root", "Full");
      await rename(root, `${root}-away`);
      const report = await get().backup("lost-root", "Incremental", FAILED);
      assert.match(report.report, new RegExp(`Fatal error: .*${root} `));
      await rename(`${root}-away`, root);
      await get().restoresAs("lost-root", root);
      await writeFile(`${root}/etc/new`, "new");
      wrote(await get().backup("lost-root", "Incremental"), { files: 2 });
      await get().restoresAs("lost-root", root);
    });

    test("an empty root fails the job where the parent's was not empty", async () => {
      const root = get().path("empty-root");
      await mkdir(root);
      await get().backup("empty-root", "Full");
      await get().backup("empty-root", "Incremental");
      await rm(root, { recursive: true });
      await newMachine("empty-root");
      await get().backup("empty-root", "Incremental");
      await rename(root, `${root}-away`);
      await mkdir(root);
      for (const level of ["Incremental", "Full"]) {
        const report = await get().backup("empty-root", level, FAILED);
        assert.match(report.report, new RegExp(`Fatal error: .*${root}`));
      }
      await get().restoresAs("empty-root", `${root}-away`);
    });
  });
}
