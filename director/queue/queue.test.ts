import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../common/log.js";
import type { JobResource } from "../config/types.js";
import { LiveJob } from "../job/live-job.js";
import type { JobPlan } from "../job/request.js";
import { JobQueue } from "./queue.js";

function live(jobId: number, changes: Partial<JobPlan> = {}): LiveJob {
  const job = { name: `job${jobId}`, maximumConcurrentJobs: 1, maxStartDelaySec: 0 } as JobResource;
  const plan = { job, level: "Full", whenMs: 0, priority: 10, ...changes } as JobPlan;
  return new LiveJob({ jobId, uuid: `u${jobId}`, job: `job${jobId}.x`, plan, queuedMs: 0 });
}

interface Bench {
  queue: JobQueue;
  started: number[];
  finish(jobId: number): void;
}

function bench(limit = 10): Bench {
  const started: number[] = [];
  const ends = new Map<number, () => void>();
  const queue = new JobQueue({
    run: (job) => {
      started.push(job.jobId);
      if (job.canceled) return Promise.resolve();
      return new Promise((resolve) => {
        ends.set(job.jobId, resolve);
        job.signal.addEventListener("abort", () => resolve());
      });
    },
    directorLimit: () => limit,
    record: () => undefined,
    log: createLog("test", { level: "silent" }),
  });
  return { queue, started, finish: (jobId) => ends.get(jobId)?.() };
}

const settle = async (queue: JobQueue): Promise<void> =>
  new Promise((resolve) => {
    const off = queue.on("change", () => {
      off();
      resolve();
    });
  });

test("jobs start up to the limit, then as others end", async () => {
  const { queue, started, finish } = bench(2);
  for (const id of [1, 2, 3]) queue.add(live(id));
  await settle(queue);
  assert.deepEqual(started, [1, 2]);
  assert.equal(queue.get(3)?.detail, "is waiting on max total jobs");
  finish(1);
  await queue.waitJob(1);
  assert.deepEqual(started, [1, 2, 3]);
  finish(2);
  finish(3);
  await queue.waitIdle();
  assert.equal(queue.size, 0);
});

test("a waiting job is cancelled at once, a running one through its signal", async () => {
  const { queue, started } = bench(1);
  queue.add(live(1));
  queue.add(live(2));
  await settle(queue);
  assert.equal(queue.cancel(2, "by hand"), true);
  await queue.waitJob(2);
  assert.deepEqual(started, [1, 2]);
  assert.equal(queue.cancel(9, "x"), false);
  queue.cancel(1, "by hand");
  await queue.waitIdle();
});

test("a start time in the future is waited for", async () => {
  const { queue, started } = bench();
  queue.add(live(1, { whenMs: Date.now() + 3_600_000 }));
  await settle(queue);
  assert.deepEqual(started, []);
  assert.match(queue.get(1)!.detail, /^is waiting for its start time \(/);
  queue.cancel(1, "x");
  await queue.waitIdle();
  queue.close();
});

test("waiting ends with its signal", async () => {
  const { queue } = bench();
  queue.add(live(1));
  const stop = new AbortController();
  const waiting = queue.waitIdle(stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  queue.cancel(1, "x");
  await queue.waitIdle();
});
