/** Parts of a backup: names, marks in the tree, single runs, members of hard link groups. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compareTrees, listTree } from "../../helpers/compare.js";
import { findReport } from "../../helpers/job-report.js";
import { copyTree, type Scenario, sameTrees } from "../../helpers/scenario.js";
import { removeTree, runTreeOps } from "../../helpers/tree-ops.js";

let tries = 0;

export function selectionTests(get: () => Scenario): void {
  const expectNames = async (where: string, names: string[]): Promise<void> =>
    assert.deepEqual(await get().names(where), names);

  /** Restores what the answers to the tree's prompt mark. */
  const restoreMarked = async (...answers: string[]): Promise<{ where: string; output: string }> => {
    const where = get().path(`marked-${++tries}`);
    const output = await get().installation.console([
      `restore where=${where} client=t-fd fileset=machine select`,
      ...answers,
      "done",
      "yes",
      "wait",
      "messages",
    ]);
    const queued = /^Job queued\. JobId=(\d+)/m.exec(output);
    const report = findReport(output, Number(queued?.[1]));
    assert.equal(report?.termination, "Restore OK", output);
    return { where, output };
  };

  describe("selection", () => {
    test("names", async () => {
      const where = await get().restore("machine", { files: ["/etc/conf", "/plain", "/no/such/thing"] });
      await expectNames(where, ["etc", "etc/conf", "plain"]);
    });

    test("a directory by name comes with all below it", async () => {
      const where = await get().restore("machine", { files: ["/etc"] });
      await sameTrees(get().path("machine/etc"), `${where}/etc`);
      await expectNames(where, ["etc", "etc/conf", "etc/other", "etc/soft", "etc/sub", "etc/sub/deep"]);
    });

    test("marks and unmarks in the tree", async () => {
      const { where, output } = await restoreMarked(
        "mark etc",
        "cd etc",
        "unmark sub",
        "unmark other",
        "cd /",
        "m pl*",
      );
      assert.match(output, /cwd is: \/etc\//);
      await expectNames(where, ["etc", "etc/conf", "etc/soft", "plain"]);
    });

    test("nothing marked restores nothing", async () => {
      const output = await get().installation.console([
        `restore where=${get().path("nothing")} client=t-fd fileset=machine select`,
        "unmark *",
        "done",
      ]);
      assert.match(output, /No files selected to be restored\./);
    });

    test("some members of a hard link group are linked with each other", async () => {
      for (const [names, links] of [
        [["/links/two", "/three"], 2],
        [["/three"], 1],
        [["/links/one"], 1],
      ] as const) {
        const where = await get().restore("machine", { files: [...names] });
        const entries = (await listTree(where)).filter(({ type }) => type === "file");
        assert.deepEqual(
          entries.map(({ name }) => `/${name}`),
          [...names],
        );
        assert.equal(new Set(entries.map(({ sha256 }) => sha256)).size, 1);
        assert.equal(entries.filter(({ linkedTo }) => linkedTo !== "").length, links - 1);
        const [original] = (await listTree(get().path("machine/links"))).filter(({ name }) => name === "one");
        assert.equal(entries[0]?.sha256, original?.sha256);
        await removeTree(where);
      }
    });

    test("one run alone, and runs together", async () => {
      const scenario = get();
      const root = scenario.path("machine");
      await copyTree(root, scenario.path("machine-before"));
      await runTreeOps(root, [
        { op: "rewrite", path: "plain", seed: "changed" },
        { op: "change", path: "links/two", mode: 0o640 },
        { op: "remove", path: "etc/other" },
      ]);
      const { jobId } = await scenario.backup("machine", "Incremental");
      const where = await scenario.restore("machine", { jobIds: [jobId] });
      await expectNames(where, ["etc", "links", "links/one", "links/two", "plain", "three"]);
      // The directory itself is not in this run.
      assert.deepEqual(await compareTrees(`${root}/links`, `${where}/links`, { root: false }), []);
      await scenario.restoresAs("machine", scenario.path("machine-before"), { jobIds: [1] });
      await scenario.restoresAs("machine", root, { jobIds: [1, jobId] });
      await scenario.restoresAs("machine", root);
    });
  });
}
