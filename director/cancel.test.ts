/** Jobs that are ended before their time: by an operator, by a limit. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Emit } from "./testing.js";
import { READY, untilCanceled, WEB1, withBench } from "./with-bench.js";

test("a running job is cancelled at both daemons", async () => {
  await withBench(WEB1, async (bench) => {
    let running: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      running = resolve;
    });
    const part = async (emit: Emit, canceled: AbortSignal) => {
      await emit(READY);
      await untilCanceled(canceled);
      return { ok: false, canceled: true, reason: "canceled" };
    };
    bench.script.filedBackup = (_request, emit, canceled) => part(emit, canceled);
    bench.script.storageBackup = (_request, emit, canceled) => {
      running();
      return part(emit, canceled);
    };
    const jobId = await bench.director.runJob({ job: "web1" });
    await started;
    const lines = await bench.director.cancel(jobId, "Canceled by console admin.");
    const job = bench.db.jobs.get(jobId)!.job;
    assert.deepEqual(lines, [
      `2001 Job "${job}" marked to be canceled.`,
      `3000 JobId=${jobId} Job="${job}" marked to be canceled.`,
    ]);
    const record = await bench.director.queue.waitJob(jobId);
    assert.equal(record?.status, "A");
    assert.match(record?.report ?? "", /Termination: {12}Backup Canceled/);
    assert.deepEqual(bench.script.canceled.sort(), [
      "filed: Canceled by console admin.",
      "storaged: Canceled by console admin.",
    ]);
    assert.deepEqual(await bench.director.cancel(jobId), []);
  });
});

test("a waiting job is cancelled with a report and without its daemons", async () => {
  await withBench(WEB1, async (bench) => {
    const jobId = await bench.director.runJob({ job: "web1", whenMs: Date.now() + 3_600_000 });
    const lines = await bench.director.cancel(jobId);
    assert.match(lines[0]!, /^JobId 1, Job web1\..* marked to be canceled\.$/);
    const record = await bench.director.queue.waitJob(jobId);
    assert.equal(record?.status, "A");
    assert.equal(bench.script.filedRequests.length, 0);
    assert.match(record?.report ?? "", /Backup Canceled/);
  });
});

test("Max Run Time cancels with Bacula's words", async () => {
  await withBench("  - {Name: web1, JobDefs: D, MaxRunTime: 1}\n", async (bench) => {
    bench.script.filedBackup = async (_request, _emit, canceled) => {
      await untilCanceled(canceled);
      return { ok: false, canceled: true };
    };
    const record = await bench.run({ job: "web1" });
    assert.equal(record.status, "A");
    assert.ok(bench.texts(1).includes("dir JobId 1: Fatal error: Max run time exceeded. Job canceled."));
  });
});
