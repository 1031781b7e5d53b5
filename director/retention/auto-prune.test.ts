import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import type { PruneRequest__Output } from "../../proto/generated/basalt/v1/PruneRequest.js";
import { type Bench, startBench } from "../testing.js";

let bench: Bench;
afterEach(async () => {
  setClock();
  await bench.close();
});

const DAY_MS = 86_400_000;

/** Lines of the job's log behind its report. */
function pruning(jobId: number): string[] {
  const texts = bench.texts(jobId).map((text) => text.trimEnd().replace(/^dir JobId \d+: /, ""));
  return texts.slice(texts.findIndex((text) => text.startsWith("Begin pruning")));
}

test("after a good backup: the client's expired runs, then lists; records follow the storage daemon", async () => {
  bench = await startBench(
    "  - {Name: web1, JobDefs: D}\n  - {Name: web2, JobDefs: D, Keep: {Last: 2, Daily: 3}}",
  );
  const old = Date.now() - 400 * DAY_MS;
  setClock(() => old);
  const [stored, kept] = [await bench.run({ job: "web1" }), await bench.run({ job: "web1" })];
  bench.script.storageBackup = async () => ({ ok: false, reason: "full" });
  const failed = await bench.run({ job: "web1" });
  bench.script.storageBackup = async () => ({ ok: true });
  assert.equal(failed.status, "E");
  assert.ok(!bench.texts(failed.jobId).some((text) => text.includes("pruning")));
  setClock();
  const asked: PruneRequest__Output[] = [];
  bench.script.held = () => [kept.jobId, failed.jobId + 1, failed.jobId + 2].map((jobId) => ({ jobId }));
  bench.script.prune = (request) => {
    asked.push(request);
    const item = { jobId: request.kind === "jobs" ? stored.jobId : kept.jobId };
    return { items: [{ ...item, action: request.kind === "jobs" ? "delete" : "files" }] };
  };
  const run = await bench.run({ job: "web1" });
  assert.equal(run.status, "T");
  assert.deepEqual(pruning(run.jobId), [
    "Begin pruning Jobs older than 6 months .",
    "Pruned 2 Jobs for client web1-fd from catalog.",
    "Begin pruning Files.",
    "Pruned Files from 1 Job for client web1-fd from catalog.",
    "End auto prune.",
  ]);
  assert.deepEqual(
    asked.map(({ kind, client, dry }) => [kind, client, dry]),
    [
      ["jobs", "web1-fd", false],
      ["files", "web1-fd", false],
    ],
  );
  assert.equal(asked[0]!.rules.length, 2); // the Keep of web2, and the client
  assert.deepEqual(
    [stored, failed, kept].map(({ jobId }) => bench.db.jobs.get(jobId)?.purgedFiles),
    [undefined, undefined, 1],
  );
  const other = await bench.run({ job: "web2" });
  assert.equal(pruning(other.jobId)[0], "Begin pruning Jobs beyond Keep Last 2, Daily 3.");
});

test("nothing to prune, AutoPrune off, and a storage daemon that cannot prune", async () => {
  bench = await startBench(
    "  - {Name: web1, JobDefs: D}\n  - {Name: web2, JobDefs: D, AutoPrune: no}\n" +
      "  - {Name: web3, JobDefs: D, AutoPrune: no, PruneFiles: yes}",
  );
  assert.deepEqual(pruning((await bench.run({ job: "web1" })).jobId), [
    "Begin pruning Jobs older than 6 months .",
    "No Jobs found to prune.",
    "Begin pruning Files.",
    "No Files found to prune.",
    "End auto prune.",
  ]);
  const off = await bench.run({ job: "web2" });
  assert.ok(!bench.texts(off.jobId).some((text) => text.includes("prun")));
  assert.equal(pruning((await bench.run({ job: "web3" })).jobId)[0], "Begin pruning Files.");
  bench.script.prune = () => {
    throw new Error("no room");
  };
  const run = await bench.run({ job: "web1" });
  assert.deepEqual([run.status, run.warnings], ["T", 0]);
  assert.match(pruning(run.jobId).join("\n"), /Warning: Pruning failed: /);
});
