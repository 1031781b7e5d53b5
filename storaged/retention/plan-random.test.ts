/** The plans on random histories, against what has to hold of every plan. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { close, type PlanJob } from "./closure.js";
import { type Decision, type PlanInput, planJobs, planVolumes, protectedRuns } from "./plan.js";
import { all, DAY, input, NOTHING, run } from "./plan-testing.js";

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
