import assert from "node:assert/strict";
import { test } from "node:test";
import { calendarOf } from "./calendar.js";
import { close, type PlanJob } from "./closure.js";
import type { KeepPolicy } from "./keep.js";
import {
  type Decision,
  type PlanInput,
  type PruneRule,
  planJobs,
  planVolumes,
  protectedRuns,
} from "./plan.js";
import { planFiles, planPurgeFiles } from "./plan-files.js";
import { planPurge } from "./plan-purge.js";

const DAY = 86_400;
const NOW = Date.UTC(2026, 9, 1, 12);
const UTC = calendarOf({ timeZone: "UTC", utcOffsetMinutes: 0 });
const NOTHING: KeepPolicy = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };
const RULE: PruneRule = {
  ...{
    jobName: "",
    client: "",
    pool: "",
    jobRetention: 60 * DAY,
    fileRetention: 30 * DAY,
    consolidate: false,
  },
};

/** A run that ended `daysAgo`. */
function run(id: number, daysAgo: number, more: Partial<PlanJob> = {}): PlanJob {
  const endMs = NOW - daysAgo * DAY * 1000;
  return {
    ...{ id, jobId: id + 100, job: `vm.${id}`, jobName: "vm", client: "c", fileSet: "All", level: "Full" },
    ...{ type: "B", status: "T", pool: "P", startMs: endMs - 60_000, endMs, bytes: 1, hasList: true },
    ...{ parents: [], bases: [], volumes: [1], needs: [1] },
    ...more,
  };
}

const input = (jobs: PlanJob[], rule: Partial<PruneRule> = {}): PlanInput => ({
  ...{ jobs, rules: [{ ...RULE, ...rule }], nowMs: NOW, periodsOf: UTC },
});
const all = () => true;
const told = (decisions: readonly Decision[]) =>
  decisions.map(({ job, action, reason }) => [job.id, action, reason]);

test("a run goes when its time is up, stays while it is younger, and the newest stays whatever its age", () => {
  const jobs = [run(1, 61), run(2, 62, { status: "E" }), run(3, 59), run(4, 100, { jobName: "alone" })];
  assert.deepEqual(told(planJobs(input(jobs), all)), [
    [1, "delete", "goes: ended 2026-08-01, Job Retention = 60 days"],
    [2, "delete", "goes: ended 2026-07-31, Job Retention = 60 days"],
    [3, "keep", "kept: younger than Job Retention = 60 days"],
    [4, "keep", "kept: newest good run of its job"],
  ]);
});

test("no rule, and a retention of 0, keep for ever", () => {
  const jobs = [run(1, 9999), run(2, 1)];
  assert.equal(planJobs(input(jobs, { jobRetention: 0 }), all)[0]?.reason, "kept: Job Retention = for ever");
  assert.equal(
    planJobs(input(jobs, { jobName: "other" }), all)[0]?.reason,
    "kept: no rule says when it may go",
  );
});

test("what a staying or a running job lies over stays, with its name", () => {
  const jobs = [
    run(1, 90, { level: "Base", jobName: "ref" }),
    run(2, 80, { bases: [1] }),
    run(3, 70, { level: "Incremental", parents: [2] }),
    run(4, 10, { level: "Incremental", parents: [2, 3] }),
    run(5, 1, { level: "Base", jobName: "ref" }),
    run(6, 90, { jobName: "x" }),
    run(7, 0, { jobName: "x", status: "R", parents: [6] }),
    run(8, 80, { jobName: "x" }),
  ];
  assert.deepEqual(told(planJobs(input(jobs), all)), [
    [1, "keep", "kept: Full JobId 102 needs it, and 2 more"],
    [2, "keep", "kept: Incremental JobId 103 needs it, and 1 more"],
    [3, "keep", "kept: Incremental JobId 104 needs it"],
    [4, "keep", "kept: younger than Job Retention = 60 days"],
    [5, "keep", "kept: younger than Job Retention = 60 days"],
    [6, "keep", "kept: JobId 107, which is running, needs it"],
    [8, "keep", "kept: newest good run of its job"],
  ]);
});

test("consolidate folds the first staying run onto the Bases below, and the later ones onto it", () => {
  const chain = (upTo: number) => Array.from({ length: upTo - 2 }, (_, at) => at + 2);
  const jobs = [run(1, 90, { level: "Base", jobName: "ref" }), run(2, 80, { bases: [1] })];
  for (let id = 3; id <= 6; id++) jobs.push(run(id, 80 - id, { level: "Incremental", parents: chain(id) }));
  jobs.push(run(7, 1, { level: "Base", jobName: "ref" }));
  const plan = planJobs(
    input(jobs, { consolidate: true, keep: { ...NOTHING, last: 2 } }),
    ({ jobName }) => jobName === "vm",
  );
  assert.deepEqual(
    plan.map(({ job, action }) => [job.id, action]),
    [
      [2, "delete"],
      [3, "delete"],
      [4, "delete"],
      [5, "rebase"],
      [6, "keep"],
    ],
  );
  const { parent, bases, folds } = plan[3]!.rebase!;
  assert.deepEqual([parent, bases, folds], [undefined, [1], [2, 3, 4]]);
  assert.equal(plan[3]?.reason, "kept: takes over what it needs of JobId 102, 103, 104");
});

test("purge is refused with the dependants, or rebases them; a running job is always in the way", () => {
  const jobs = [run(1, 90, { level: "Base", jobName: "ref" }), run(2, 80, { bases: [1] }), run(3, 70)];
  const refused = planPurge(jobs, new Set([1]), false);
  assert.equal(refused.refused, true);
  assert.deepEqual(told(refused.decisions), [
    [1, "refused", "needed by Full JobId 102: purge those too, or rebase them"],
  ]);
  assert.deepEqual(refused.decisions[0]?.neededBy, [102]);
  const folded = planPurge(jobs, new Set([1]), true);
  assert.deepEqual(
    folded.decisions.map(({ job, action, rebase }) => [job.id, action, rebase?.bases]),
    [
      [1, "delete", undefined],
      [2, "rebase", []],
    ],
  );
  assert.equal(planPurge(jobs, new Set([1, 2]), false).refused, false);
  const busy = [...jobs, run(4, 0, { status: "R", bases: [1] })];
  assert.match(planPurge(busy, new Set([1]), true).decisions[0]!.reason, /JobId 104, which is running/);
  assert.equal(planPurge(busy, new Set([4]), true).refused, true);
});

test("volume retention takes runs on its volumes whatever their Job Retention, but not what Keep wants", () => {
  const jobs = [run(1, 3), run(2, 2), run(3, 1, { volumes: [2] })];
  const expired = new Map([[1, "Volume V1 ended its retention"]]);
  assert.deepEqual(told(planVolumes(input(jobs), expired, all)), [
    [1, "delete", "goes: Volume V1 ended its retention"],
    [2, "delete", "goes: Volume V1 ended its retention"],
  ]);
  const keep = { ...NOTHING, last: 2 };
  assert.deepEqual(told(planVolumes(input(jobs, { keep }), expired, all)), [
    [1, "delete", "goes: Volume V1 ended its retention"],
    [2, "keep", "kept: last 2 of 2"],
  ]);
});

test("file lists go, newest first, when no list that stays lies over them", () => {
  const jobs = [
    run(1, 40),
    run(2, 39),
    run(3, 38, { level: "Incremental", parents: [2] }),
    run(4, 37),
    run(5, 2, { level: "Incremental", parents: [4] }),
    run(6, 40, { listDropped: true }),
    run(7, 1),
  ];
  assert.deepEqual(
    planFiles(input(jobs), all).map(({ job, action, neededBy }) => [job.id, action, ...neededBy]),
    [
      [7, "keep"],
      [5, "keep"],
      [4, "keep", 105],
      [3, "files"],
      [2, "files"],
      [1, "files"],
    ],
  );
  const running = [...jobs, run(8, 0, { status: "R", level: "Incremental", parents: [2] })];
  const found = planPurgeFiles(running, new Set([2, 3, 7]));
  assert.deepEqual(
    found.map(({ job, action, neededBy }) => [job.id, action, ...neededBy]),
    [
      [7, "keep"],
      [3, "files"],
      [2, "keep", 108],
    ],
  );
});

/** Small reproducible random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A history of three jobs with Bases, chains, failures and running jobs. */
function history(seed: number): PlanJob[] {
  const pick = random(seed);
  const jobs: PlanJob[] = [];
  const count = 5 + pick(25);
  for (let id = 1; id <= count; id++) {
    const jobName = ["a", "b", "ref"][pick(3)]!;
    const mine = jobs.filter((job) => job.jobName === jobName && job.status === "T");
    const lastFull = mine.findLast(({ level }) => level === "Full");
    const bases = jobs.filter(({ level, status }) => level === "Base" && status === "T").map((job) => job.id);
    const status = pick(10) === 0 ? "E" : pick(12) === 0 ? "R" : "T";
    const common = { jobName, status, volumes: [1 + pick(4)], hasList: pick(20) !== 0 };
    const daysAgo = (count - id) * 4 + pick(3);
    if (jobName === "ref") jobs.push(run(id, daysAgo, { ...common, level: "Base" }));
    else if (lastFull === undefined || pick(4) === 0) {
      jobs.push(run(id, daysAgo, { ...common, bases: bases.slice(-1 - pick(2)) }));
    } else {
      const newest = mine.at(-1)!;
      const parents = newest.level === "Full" ? [newest.id] : [...newest.parents, newest.id];
      jobs.push(run(id, daysAgo, { ...common, level: "Incremental", parents }));
    }
  }
  return jobs;
}

/** What is left when a plan has been carried out. */
function carriedOut(jobs: readonly PlanJob[], decisions: readonly Decision[]): PlanJob[] {
  const by = new Map(jobs.map((job) => [job.id, { ...job }]));
  for (const { job, rebase } of decisions) {
    if (rebase === undefined) continue;
    const { parent, bases, folds } = rebase;
    const chain = parent === undefined ? [] : [...by.get(parent)!.parents, parent];
    by.get(job.id)!.parents = chain.filter((id) => !folds.includes(id));
    by.get(job.id)!.bases = bases;
    for (const above of by.values()) {
      if (above.parents.includes(job.id)) above.parents = above.parents.filter((id) => !folds.includes(id));
    }
  }
  for (const { job, action } of decisions) if (action === "delete") by.delete(job.id);
  return [...by.values()];
}

test("no plan takes what a staying run needs, all that may go goes, and a second run has nothing to do", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const jobs = history(seed);
    const pick = random(seed * 7);
    const consolidate = pick(2) === 0;
    const keep =
      pick(2) === 0 ? { ...NOTHING, last: pick(3), weekly: pick(3), monthly: 1 + pick(2) } : undefined;
    const asked = input(jobs, { consolidate, keep, jobRetention: (1 + pick(60)) * DAY });
    const expired = new Map([[1 + pick(4), "its time is up"]]);
    for (const plan of [
      (from: PlanInput) => planJobs(from, all),
      (from: PlanInput) => planVolumes(from, expired, all),
    ]) {
      const decided = plan(asked);
      const left = carriedOut(jobs, decided);
      const there = new Set(left.map(({ id }) => id));
      for (const job of left.filter(({ status }) => status !== "E")) {
        for (const id of [...job.parents, ...job.bases])
          assert.ok(there.has(id), `seed ${seed}: ${job.id} needs ${id}`);
      }
      for (const id of protectedRuns(jobs).keys())
        assert.ok(there.has(id), `seed ${seed}: ${id} is protected`);
      const again = plan({ ...asked, jobs: left });
      assert.deepEqual(
        again.filter(({ action }) => action !== "keep"),
        [],
        `seed ${seed}`,
      );
    }
  }
});

test("the closure is the largest: compared with trying every subset", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const jobs = history(seed).slice(0, 11);
    const pick = random(seed * 13);
    const wanted = new Set(jobs.filter(({ status }) => status !== "R" && pick(2) === 0).map(({ id }) => id));
    const stands = { parents: false, bases: false };
    const { going } = close(jobs, wanted, () => stands);
    const ids = [...wanted];
    let largest = 0;
    for (let bits = 0; bits < 2 ** ids.length; bits++) {
      const set = new Set(ids.filter((_, at) => (bits >> at) & 1));
      const fine = jobs
        .filter(({ id, status }) => !set.has(id) && status !== "E")
        .every(({ parents, bases }) => ![...parents, ...bases].some((id) => set.has(id)));
      if (fine) largest = Math.max(largest, set.size);
    }
    assert.equal(going.size, largest, `seed ${seed}`);
  }
});

test("an incomplete run is not protected as the newest of its job, and counts for no keep-policy", () => {
  const torn = run(2, 70, { type: "I" });
  assert.deepEqual(told(planJobs(input([run(1, 80), torn]), all)), [
    [1, "keep", "kept: newest good run of its job"],
    [2, "delete", "goes: ended 2026-07-23, Job Retention = 60 days"],
  ]);
  const keep = { ...NOTHING, last: 1 };
  const young = run(3, 1, { type: "I" });
  assert.deepEqual(
    told(
      planJobs(
        input([run(1, 5), { ...torn, endMs: NOW - 9e9, startMs: NOW - 9e9 }, young], {
          keep,
          jobRetention: 0,
        }),
        all,
      ),
    ),
    [
      [1, "keep", "kept: last 1 of 1"],
      [2, "delete", "goes: incomplete, and older than what is kept"],
      [3, "keep", "kept: incomplete, and not older than what is kept"],
    ],
  );
});
