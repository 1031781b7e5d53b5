/** In place and elsewhere: what gives way to a restored file. */
import assert from "node:assert/strict";
import { mkdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario, sameTrees } from "../../helpers/scenario.js";
import { fileOp, removeTree, runTreeOps } from "../../helpers/tree-ops.js";

const BACKED_UP_AT = 1_600_000_000;
const NAMES = ["missing", "newer-there", "older-there", "same-time"] as const;
type Name = (typeof NAMES)[number];

/** Stored under the names that it has on this host, so that it can be restored in place. */
export const replaceMachine = (scenario: Scenario): Machine => ({
  name: "in-place",
  root: "/",
  files: [scenario.path("in-place")],
});

/** Which files each rule lets come back. */
const RULES: Record<string, Name[]> = {
  always: ["missing", "newer-there", "older-there", "same-time"],
  ifnewer: ["missing", "older-there"],
  ifolder: ["missing", "newer-there"],
  never: ["missing"],
};

export function replaceTests(get: () => Scenario): void {
  const spoil = async (root: string): Promise<void> => {
    await rm(`${root}/missing`);
    for (const name of NAMES.slice(1)) await writeFile(`${root}/${name}`, "there");
    await utimes(`${root}/newer-there`, BACKED_UP_AT + 10, BACKED_UP_AT + 10);
    await utimes(`${root}/older-there`, BACKED_UP_AT - 10, BACKED_UP_AT - 10);
    await utimes(`${root}/same-time`, BACKED_UP_AT, BACKED_UP_AT);
  };

  describe("replace", () => {
    test("in place, by each rule", async () => {
      const scenario = get();
      const root = scenario.path("in-place");
      await mkdir(root);
      await runTreeOps(
        root,
        NAMES.map((path) =>
          fileOp(path, { kind: "text", size: 100, seed: path }, { mtimeNs: `${BACKED_UP_AT}000000000` }),
        ),
      );
      const saved = scenario.path("in-place-saved");
      await copyTree(root, saved);
      await scenario.backup("in-place", "Full");
      for (const [rule, expected] of Object.entries(RULES)) {
        await removeTree(root);
        await copyTree(saved, root);
        await spoil(root);
        await writeFile(`${root}/stranger`, "not in the backup");
        const report = await scenario.installation.restore({
          fileSet: "in-place",
          where: "/",
          words: `replace=${rule}`,
        });
        assert.match(report.termination, /^Restore OK/, report.report);
        const back: string[] = [];
        for (const name of NAMES) {
          const content = await readFile(`${root}/${name}`, "utf8");
          if (content !== "there") {
            assert.equal(content, await readFile(`${saved}/${name}`, "utf8"));
            back.push(name);
          }
        }
        assert.deepEqual(back, expected, `${rule}\n${report.report}`);
        assert.equal(await readFile(`${root}/stranger`, "utf8"), "not in the backup");
      }
    });

    test("below an existing directory: its other files stay, restored ones are complete", async () => {
      const scenario = get();
      const where = scenario.path("existing");
      await mkdir(`${where}/etc`, { recursive: true });
      await writeFile(`${where}/etc/stranger`, "stays");
      await writeFile(`${where}/etc/conf`, "x".repeat(50_000));
      await scenario.restore("machine", { where, jobIds: [1] });
      assert.equal(await readFile(`${where}/etc/stranger`, "utf8"), "stays");
      await rm(`${where}/etc/stranger`);
      await scenario.restore("machine", { where, jobIds: [1] });
      await scenario.restoresAs("machine", where, { jobIds: [1] });
    });

    test("types that differ give way, directories that are not empty do not", async () => {
      const scenario = get();
      const where = scenario.path("types");
      await mkdir(`${where}/plain`, { recursive: true });
      await mkdir(`${where}/large/full`, { recursive: true });
      await writeFile(`${where}/links`, "a file where a directory belongs");
      const report = await scenario.installation.restore({ where, jobIds: [1] });
      assert.match(report.termination, /^Restore OK -- /, report.report);
      assert.match(report.report, /large.*not empty/, report.report);
      await removeTree(`${where}/large`);
      await scenario.restore("machine", { where, jobIds: [1] });
      const fresh = await scenario.restore("machine", { jobIds: [1] });
      await sameTrees(fresh, where);
    });
  });
}
