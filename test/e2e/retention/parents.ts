/** What a kept run needs cannot go: it is refused, naming who needs it, until a rebase has freed it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { copyTree, type Machine, type Scenario, type ScenarioPool } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";
import { listed } from "./keep.js";

export const parentPools: ScenarioPool[] = [{ name: "Parents" }];

export const parentMachines: Machine[] = [
  { name: "golden", level: "Base", pool: "Parents", job: { AutoPrune: false } },
  { name: "tenant", base: ["golden"], pool: "Parents", job: { AutoPrune: false } },
];

const random = (path: string, size: number, seed = path) => fileOp(path, { kind: "random", size, seed });

export function parentTests(get: () => Scenario): void {
  describe("parents", () => {
    let base = 0;
    let full = 0;

    test("purge and delete of a Base that a Full needs are refused, naming the Full", async () => {
      const scenario = get();
      const [golden, tenant] = [scenario.path("golden"), scenario.path("tenant")];
      await mkdir(golden);
      await runTreeOps(golden, [
        random("shared-1", 70_000),
        random("shared-2", 2_500_000),
        random("gone", 5000),
      ]);
      base = (await scenario.backup("golden", "Base")).jobId;
      await copyTree(golden, tenant);
      await runTreeOps(tenant, [random("own", 9000), { op: "remove", path: "gone" }]);
      full = (await scenario.backup("tenant", "Full")).jobId;
      for (const command of [
        `purge jobs jobid=${base}`,
        `delete jobid=${base} yes`,
        "purge jobs job=golden",
      ]) {
        const text = await scenario.installation.console([command]);
        const named = `needed by JobId ${full} tenant \\(Full, Client t-fd\\) as its Base`;
        assert.match(text, new RegExp(named), command);
        assert.match(text, new RegExp(`rebase jobid=${full}$`, "m"));
        assert.match(text, /^Nothing was (purged|deleted)\.$/m);
      }
      const needs = await scenario.installation.console([`list dependants jobid=${base}`]);
      assert.match(needs, new RegExp(`^\\| ${full} +\\| tenant .*\\| ${base} +\\| Base `, "m"));
      assert.deepEqual(
        [await listed(scenario, "golden"), await listed(scenario, "tenant")],
        [[base], [full]],
      );
      await scenario.restoresAs("tenant", tenant);
    });

    test("delete of a volume that jobs need is refused; its file stays", async () => {
      const scenario = get();
      const text = await scenario.installation.console(["delete volume=Parents-0001 yes"]);
      assert.match(text, new RegExp(`JobId ${full} tenant`));
      assert.match(text, /^Nothing was deleted\.$/m);
      assert.ok(existsSync(scenario.volume("Parents-0001")));
      await scenario.restoresAs("tenant", scenario.path("tenant"));
    });

    test("after a rebase the Base may go, and the Full restores as before", async () => {
      const scenario = get();
      const text = await scenario.installation.console([`rebase jobid=${full}`, `purge jobs jobid=${base}`]);
      assert.match(text, new RegExp(`^JobId ${full} needs no other Job any more\\.$`, "m"));
      assert.match(text, /^1 Job purged from catalog\.$/m);
      assert.deepEqual(await listed(scenario, "golden"), []);
      assert.match(
        await scenario.installation.console([`list basejobs jobid=${full}`]),
        /No results to list/,
      );
      await scenario.restoresAs("tenant", scenario.path("tenant"));
      await scenario.backupAndRestore("tenant", "Incremental");
    });

    test("vacuum moves what lives off a volume, which may then be deleted with its file", async () => {
      const scenario = get();
      const text = await scenario.installation.console([
        "vacuum pool=Parents dry",
        "vacuum volume=Parents-0001 below=100",
        "delete volume=Parents-0001 file yes",
      ]);
      assert.match(text, /^\| +\d+ +\| Parents-0001 +\| Parents +\|.*\| \d+% /m);
      assert.match(text, /^Volume "Parents-0001" deleted from the catalog\.$/m);
      assert.ok(!existsSync(scenario.volume("Parents-0001")));
      await scenario.restoresAs("tenant", scenario.path("tenant"));
      await runProgram(scenario.basalt, ["volume", "verify", scenario.volume("Parents-0002")]);
    });

    test("a purge that rebases by itself", async () => {
      const scenario = get();
      await scenario.backup("golden", "Base");
      const newer = await scenario.backup("tenant", "Full");
      const text = await scenario.installation.console(["delete job=golden rebase yes"]);
      assert.match(text, /associated records deleted from the catalog\.$/m);
      await scenario.restoresAs("tenant", scenario.path("tenant"), { jobIds: [newer.jobId] });
    });
  });
}
