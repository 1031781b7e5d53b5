import assert from "node:assert/strict";
import { test } from "node:test";
import { planJobs, planVolumes } from "./plan.js";
import { planFiles, planPurgeFiles } from "./plan-files.js";
import { planPurge } from "./plan-purge.js";
import { all, input, NOTHING, NOW, run, told } from "./plan-testing.js";

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
