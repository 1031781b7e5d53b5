/** File Retention: lists leave the catalog, their runs stay, and the lists come back from the volumes when needed. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { copyTree, type Machine, type Scenario, type ScenarioPool } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";
import { listed } from "./keep.js";

export const filesPools: ScenarioPool[] = [{ name: "Lists" }];

export const filesMachines: Machine[] = [
  { name: "listed", pool: "Lists", job: { FileRetention: "1 second", JobRetention: "1 year" } },
];

const random = (path: string, size: number) => fileOp(path, { kind: "random", size, seed: path });

export function filesTests(get: () => Scenario): void {
  describe("file lists", () => {
    const saved: string[] = [];
    let ids: number[] = [];
    const there = () => ids.map((id) => get().listBlocks(id) > 0);

    test("AutoPrune lets lists go whose File Retention is over; the runs stay listed", async () => {
      const scenario = get();
      const root = scenario.path("listed");
      await mkdir(root);
      await runTreeOps(root, [random("stays", 40_000), random("big", 2_500_000), random("goes", 5000)]);
      const save = async (): Promise<void> => {
        saved.push(scenario.path(`listed-${saved.length}`));
        await copyTree(root, saved.at(-1)!);
      };
      const full = await scenario.backup("listed", "Full");
      await save();
      await runTreeOps(root, [random("new", 9000), { op: "remove", path: "goes" }]);
      const incremental = await scenario.backup("listed", "Incremental");
      await save();
      await sleep(1100);
      const newest = await scenario.backup("listed", "Full");
      await save();
      ids = [full, incremental, newest].map(({ jobId }) => jobId);
      assert.match(newest.report, /Pruned Files from 2 Jobs for client t-fd from catalog\./);
      assert.deepEqual(there(), [false, false, true]);
      assert.deepEqual(await listed(scenario, "listed"), ids);
      const text = await scenario.installation.console(ids.map((id) => `llist jobid=${id}`));
      assert.deepEqual(
        [...text.matchAll(/^ +PurgedFiles: (\d)$/gm)].map(([, purged]) => purged),
        ["1", "1", "0"],
      );
    });

    test("a restore reads the lists that it needs from the volumes, and so does list files", async () => {
      const scenario = get();
      const [full, incremental] = ids as [number, number, number];
      const text = await scenario.installation.console([`list files jobid=${full}`]);
      assert.match(text, /goes/);
      assert.deepEqual(there(), [true, false, true]);
      await scenario.restoreEach("listed", [
        { expected: saved[0]!, jobIds: [full] },
        { expected: saved[1]!, jobIds: [full, incremental] },
        { expected: saved[2]! },
      ]);
      assert.deepEqual(there(), [true, true, true]);
    });

    test("purge files: refused for the newest run, and for a list that another lies over", async () => {
      const scenario = get();
      const [full, incremental, newest] = ids as [number, number, number];
      const text = await scenario.installation.console([
        `purge files jobid=${newest}`,
        `purge files jobid=${full}`,
        `purge files jobid=${full},${incremental}`,
      ]);
      assert.match(text, new RegExp(`^JobId ${newest} listed\\..*: newest good run of its job$`, "m"));
      assert.match(text, new RegExp(`: Incremental JobId ${incremental} lies over its list$`, "m"));
      assert.match(text, /^Files of 2 Jobs purged from catalog\.$/m);
      assert.deepEqual(there(), [false, false, true]);
      await scenario.restoresAs("listed", saved[1]!, { jobIds: [full, incremental] });
    });
  });
}
