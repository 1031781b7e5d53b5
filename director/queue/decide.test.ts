import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, nextChangeMs, type QueueItem, START_DELAY_EXCEEDED } from "./decide.js";
import { judgeDuplicates } from "./duplicates.js";

const NOW = new Date(2026, 10, 21, 3, 0, 0).getTime();

function item(jobId: number, changes: Partial<QueueItem> = {}): QueueItem {
  return {
    jobId,
    running: false,
    priority: 10,
    allowMixedPriority: false,
    whenMs: NOW - 1000,
    maxStartDelaySec: 0,
    job: `job${jobId}`,
    jobLimit: 1,
    client: `client${jobId}`,
    clientLimit: 1,
    storage: "File",
    storageLimit: 10,
    ...changes,
  };
}

function outcome(items: QueueItem[], limit = 20): Record<number, string> {
  const result: Record<number, string> = {};
  for (const [jobId, decision] of decide(items, limit, NOW)) {
    result[jobId] =
      decision.kind === "start" ? "start" : decision.kind === "wait" ? decision.detail : decision.reason;
  }
  return result;
}

const PRIORITY = "is waiting for higher priority jobs to finish";

test("jobs of one priority start together, by JobId, up to the director's limit", () => {
  assert.deepEqual(outcome([item(3), item(1), item(2)], 2), {
    1: "start",
    2: "start",
    3: "is waiting on max total jobs",
  });
});

test("limits of client, storage and job; a job that is held back lets others pass", () => {
  const items = [
    item(1, { running: true, client: "a", job: "x" }),
    item(2, { client: "a" }),
    item(3, { job: "x" }),
    item(4, { storage: "Tape", storageLimit: 1 }),
    item(5, { storage: "Tape", storageLimit: 1 }),
    item(6),
  ];
  assert.deepEqual(outcome(items), {
    2: "is waiting on max Client jobs",
    3: "is waiting on max Job jobs",
    4: "start",
    5: "is waiting on max Storage jobs",
    6: "start",
  });
});

test("a client takes fewer jobs that read images than others, and both at the same time", () => {
  const host = { client: "hv1", clientLimit: 5 };
  const image = { ...host, readsImages: true, clientImageLimit: 2 };
  const items = [
    item(1, { ...image, running: true }),
    item(2, image),
    item(3, image),
    item(4, host),
    item(5, host),
    item(6, host),
    item(7, host),
    item(8, { ...image, client: "hv2" }),
    item(9, { ...image, client: "hv3", clientImageLimit: 0 }),
    item(10, { ...image, client: "hv3", clientImageLimit: 0 }),
  ];
  assert.deepEqual(outcome(items), {
    2: "start",
    3: "is waiting on max Client image jobs",
    4: "start",
    5: "start",
    6: "start",
    7: "is waiting on max Client jobs",
    8: "start",
    9: "start",
    10: "start",
  });
});

test("a lower number goes first; other priorities wait until it is done", () => {
  assert.deepEqual(outcome([item(1, { priority: 20 }), item(2, { priority: 10 })]), {
    2: "start",
    1: PRIORITY,
  });
  assert.deepEqual(outcome([item(1, { running: true }), item(2, { priority: 20 })]), { 2: PRIORITY });
  assert.deepEqual(outcome([item(1, { running: true }), item(2, { priority: 5 }), item(3)]), {
    2: PRIORITY,
    3: PRIORITY,
  });
});

test("mixed priorities run together only when all of them allow it, and only smaller numbers join", () => {
  const mixed = { allowMixedPriority: true };
  assert.deepEqual(outcome([item(1, { running: true, ...mixed }), item(2, { priority: 5, ...mixed })]), {
    2: "start",
  });
  assert.deepEqual(outcome([item(1, { running: true }), item(2, { priority: 5, ...mixed })]), {
    2: PRIORITY,
  });
  assert.deepEqual(outcome([item(1, { running: true, ...mixed }), item(2, { priority: 15, ...mixed })]), {
    2: PRIORITY,
  });
});

test("a first job blocked by its client does not let a worse priority pass", () => {
  const items = [item(1, { priority: 5, clientLimit: 1, client: "a" }), item(2, { priority: 20 })];
  assert.deepEqual(outcome(items), { 1: "start", 2: PRIORITY });
});

test("start times and the longest delay", () => {
  const items = [
    item(1, { whenMs: NOW + 90_000 }),
    item(2, { whenMs: NOW - 61_000, maxStartDelaySec: 60 }),
    item(3, { whenMs: NOW - 59_000, maxStartDelaySec: 60 }),
  ];
  assert.deepEqual(outcome(items), {
    1: "is waiting for its start time (2026-11-21 03:01:30)",
    2: START_DELAY_EXCEEDED,
    3: "start",
  });
  assert.equal(nextChangeMs(items, NOW), NOW + 1001);
  assert.equal(nextChangeMs([item(1, { whenMs: NOW + 5 })], NOW), NOW + 5);
  assert.equal(nextChangeMs([item(1)], NOW), undefined);
});

test("jobs without client and storage are limited by neither", () => {
  const admin = { client: "", storage: "", clientLimit: 1, storageLimit: 1 };
  assert.deepEqual(outcome([item(1, { running: true, ...admin }), item(2, admin)]), { 2: "start" });
});

test("a limit of 0 is none", () => {
  const items = [
    item(1, { running: true, client: "a", clientLimit: 0 }),
    item(2, { client: "a", clientLimit: 0 }),
  ];
  assert.deepEqual(outcome(items, 0), { 2: "start" });
});

test("duplicates are refused, or cancelled by the job's rules", () => {
  const rules = {
    allowDuplicateJobs: false,
    cancelLowerLevelDuplicates: false,
    cancelQueuedDuplicates: false,
    cancelRunningDuplicates: false,
  };
  const queued = { jobId: 4, running: false, level: "Incremental" as const };
  const running = { jobId: 5, running: true, level: "Full" as const };
  assert.deepEqual(judgeDuplicates({ ...rules, allowDuplicateJobs: true }, "Full", [queued]), { cancel: [] });
  assert.equal(
    judgeDuplicates(rules, "Full", [queued]).refuse,
    "JobId 4 already running. Duplicate job not allowed.",
  );
  assert.deepEqual(judgeDuplicates({ ...rules, cancelQueuedDuplicates: true }, "Full", [queued]), {
    cancel: [4],
  });
  assert.deepEqual(judgeDuplicates({ ...rules, cancelLowerLevelDuplicates: true }, "Full", [queued]), {
    cancel: [4],
  });
  const lower = { ...rules, cancelLowerLevelDuplicates: true, cancelRunningDuplicates: true };
  assert.equal(
    judgeDuplicates(lower, "Incremental", [running]).refuse,
    "JobId 5 already running. Duplicate job not allowed.",
  );
  const mixed = judgeDuplicates({ ...rules, cancelQueuedDuplicates: true }, "Full", [queued, running]);
  assert.deepEqual(mixed.cancel, []);
  assert.ok(mixed.refuse?.includes("JobId 5"));
  assert.deepEqual(judgeDuplicates({ ...rules, cancelRunningDuplicates: true }, "Full", [running]), {
    cancel: [5],
  });
});
