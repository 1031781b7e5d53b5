/** Volumes: waiting for one, using them again, emptying and renaming them. */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { findReport } from "../../helpers/job-report.js";
import type { Machine, Scenario, ScenarioPool } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";
import { listed } from "./keep.js";

export const volumePools: ScenarioPool[] = [
  { name: "ByHand", LabelFormat: undefined, ActionOnPurge: "Truncate" },
  {
    ...{ name: "Tiny", Deduplicate: false, MaximumVolumes: 3, MaximumVolumeJobs: 1 },
    ...{ VolumeRetention: "1 sec", Recycle: true, AutoPrune: true },
  },
];

export const volumeMachines: Machine[] = [
  { name: "by-hand", pool: "ByHand", job: { AutoPrune: false } },
  { name: "churning", pool: "Tiny", job: { AutoPrune: false } },
];

const RUNS = 5;

export function volumeTests(get: () => Scenario): void {
  describe("volumes", () => {
    test("a job that waits for a volume goes on after label", async () => {
      const scenario = get();
      const root = scenario.path("by-hand");
      await mkdir(root);
      await runTreeOps(root, [fileOp("file", { kind: "random", size: 400_000, seed: "by hand" })]);
      const lines = ["run job=by-hand level=Full yes", "wait mount", "status dir"];
      const text = await scenario.installation.console([
        ...lines,
        "label storage=File volume=Hand-1 pool=ByHand",
        "wait",
        "messages",
      ]);
      assert.match(text, /by-hand +is waiting for an appendable Volume/);
      const jobId = Number(/^Job queued\. JobId=(\d+)/m.exec(text)?.[1]);
      const report = findReport(text, jobId);
      assert.equal(report?.termination, "Backup OK", text);
      assert.equal(report?.lines.get("Volume name(s)"), "Hand-1");
      await scenario.restoresAs("by-hand", root);
    });

    test("purged, truncated, relabelled: the volume begins anew", async () => {
      const scenario = get();
      const file = scenario.volume("Hand-1");
      const before = statSync(file).size;
      const text = await scenario.installation.console([
        "truncate volume=Hand-1 storage=File",
        "relabel oldvolume=Hand-1 volume=Hand-2",
        "purge volume=Hand-1",
        "truncate volume=Hand-1 storage=File",
        "llist volume=Hand-1",
      ]);
      assert.match(text, /^No Volumes found to perform the command\.$/m);
      assert.match(text, /Hand-1" has VolStatus \w+\. It must be Purged or Recycled before relabeling\.$/m);
      assert.match(text, /^1 Job on Volume "Hand-1" purged from catalog\.$/m);
      assert.match(text, /^The volume "Hand-1" has been truncated$/m);
      assert.ok(before > 400_000 && statSync(file).size < 2000);
      const named = await scenario.installation.console(["relabel oldvolume=Hand-1 volume=Hand-2"]);
      assert.match(named, /^Old volume "Hand-1" deleted from catalog\.$/m);
      assert.deepEqual([existsSync(file), existsSync(scenario.volume("Hand-2"))], [false, true]);
      const report = await scenario.backup("by-hand", "Full");
      assert.equal(report.lines.get("Volume name(s)"), "Hand-2");
      await scenario.restoresAs("by-hand", scenario.path("by-hand"));
    });

    test("a small pool goes round: expired volumes are pruned and used again when one is needed", async () => {
      const scenario = get();
      const root = scenario.path("churning");
      await mkdir(root);
      const used: string[] = [];
      for (let step = 0; step < RUNS; step++) {
        const seed = `${step}`;
        const file = fileOp("file", { kind: "random", size: 300_000, seed });
        await runTreeOps(root, [step === 0 ? file : { op: "rewrite", path: "file", seed }]);
        const report = await scenario.backup("churning", "Full");
        used.push(report.lines.get("Volume name(s)") ?? "");
        // Volume Retention counts whole seconds from the last write.
        await sleep(1100);
      }
      assert.ok(new Set(used).size <= 3, used.join());
      const files = (await readdir(scenario.volume(""))).filter((name) => name.startsWith("Tiny-"));
      assert.ok(files.length <= 3, files.join());
      const text = await scenario.installation.console(["llist volumes pool=Tiny"]);
      const recycled = [...text.matchAll(/RecycleCount: (\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
      assert.ok(recycled >= RUNS - 3, text);
      await scenario.restoresAs("churning", root);
      // The storage daemon pruned by itself; the director's records follow at the next prune.
      assert.equal((await listed(scenario, "churning")).length, RUNS);
      await scenario.installation.console(["prune jobs job=churning yes"]);
      assert.equal((await listed(scenario, "churning")).length, RUNS - recycled);
    });

    test("status and limits by update; an expired volume by name; statistics", async () => {
      const scenario = get();
      const text = await scenario.installation.console([
        "update volume=Hand-2 volstatus=Used maxvoljobs=5 volretention=1d enabled=no",
        "update volume=Hand-2 volstatus=Purged",
        "llist volume=Hand-2",
        "prune volume=Hand-2 yes",
        "update volume=Hand-2 volstatus=Append enabled=yes",
        "update stats",
        "prune stats yes",
      ]);
      assert.match(
        text,
        /^New Volume status is: Used\nNew retention period is: 1 day \nNew max jobs is: 5\n/m,
      );
      assert.match(text, /^Invalid VolStatus specified: Purged$/m);
      assert.match(text, /^ +VolStatus: Used$/m);
      assert.match(text, /^ +MaxVolJobs: 5$/m);
      assert.match(text, /^Found no Job associated with the Volume "Hand-2" to prune\.$/m);
      assert.match(text, /^Updating [1-9]\d* job\(s\)\.$/m);
      assert.match(text, /^Pruned 0 Jobs from JobHisto and 0 lines from Log\.$/m);
    });
  });
}
