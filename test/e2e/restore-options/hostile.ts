/** Whatever links lie in the target: nothing outside of it is written, changed or removed. */
import assert from "node:assert/strict";
import { link, mkdir, symlink, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Scenario, sameTrees } from "../../helpers/scenario.js";

export function hostileTests(get: () => Scenario): void {
  const outsideOf = async (name: string): Promise<{ where: string; outside: string; saved: string }> => {
    const outside = get().path(`outside-${name}`);
    await mkdir(`${outside}/sub`, { recursive: true });
    for (const victim of ["conf", "victim", "sub/deep"]) await writeFile(`${outside}/${victim}`, "untouched");
    const saved = get().path(`outside-saved-${name}`);
    await copyTree(outside, saved);
    const where = get().path(`hostile-${name}`);
    await mkdir(where);
    return { where, outside, saved };
  };

  describe("links in the target", () => {
    for (const rule of ["always", "ifnewer", "never"]) {
      test(`symlinks and hard links, replace=${rule}`, async () => {
        const { where, outside, saved } = await outsideOf(rule);
        await symlink(outside, `${where}/etc`);
        await symlink(`${outside}/victim`, `${where}/plain`);
        await symlink(`${outside}/created`, `${where}/large`);
        await mkdir(`${where}/links`);
        await link(`${outside}/victim`, `${where}/links/one`);
        await symlink(`${outside}/sub`, `${where}/three`);
        const report = await get().installation.restore({ where, jobIds: [1], words: `replace=${rule}` });
        assert.match(report.termination, /Restore/, report.report);
        await sameTrees(saved, outside);
        if (rule !== "always") return;
        assert.equal(report.termination, "Restore OK", report.report);
        await get().restoresAs("machine", where, { jobIds: [1] });
      });
    }

    test("a symlink inside, several levels down", async () => {
      const { where, outside, saved } = await outsideOf("deep");
      await mkdir(`${where}/etc`);
      await symlink(outside, `${where}/etc/sub`);
      await get().restore("machine", { where, jobIds: [1] });
      await sameTrees(saved, outside);
      await get().restoresAs("machine", where, { jobIds: [1] });
    });

    test("a target directory that the file daemon does not allow", async () => {
      const { installation } = get();
      const allowed = get().path("allowed");
      await mkdir(allowed);
      await installation.editConfig("filed", (text) =>
        text.replace("RestoreRoots: [/]", `RestoreRoots: [${allowed}]`),
      );
      await installation.kill("filed", "SIGTERM");
      await installation.start("filed");
      try {
        const where = get().path("not-allowed");
        const report = await installation.restore({ where, jobIds: [1] });
        assert.equal(report.termination, "*** Restore Error ***", report.report);
        assert.match(report.report, /RestoreRoots/);
        await symlink(get().path("outside-deep"), `${allowed}/way-out`);
        const around = await installation.restore({ where: `${allowed}/way-out/x`, jobIds: [1] });
        assert.equal(around.termination, "*** Restore Error ***", around.report);
        await sameTrees(get().path("outside-saved-deep"), get().path("outside-deep"));
        await get().restore("machine", { where: `${allowed}/inside`, jobIds: [1] });
      } finally {
        await installation.editConfig("filed", (text) =>
          text.replace(`RestoreRoots: [${allowed}]`, "RestoreRoots: [/]"),
        );
        await installation.kill("filed", "SIGTERM");
        await installation.start("filed");
      }
    });
  });
}
