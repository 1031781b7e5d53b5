import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { Volume__Output as Volume } from "../../proto/generated/basalt/v1/Volume.js";
import type { JobResource, PoolResource } from "../config/types.js";
import { selectJobs } from "./copy-select.js";

const HOUR = 3_600_000;
const NOW = 100 * HOUR;

function catalogJob(jobId: number, facts: Partial<CatalogJob> = {}): CatalogJob {
  const names = { jobName: "vm1", client: "vm1-fd", pool: "Full", status: "T", type: "B" };
  const times = { startMs: jobId * HOUR, endMs: jobId * HOUR + 1 };
  return {
    ...names,
    ...times,
    jobId,
    uuid: `u${jobId}`,
    bytes: 100,
    volumes: ["V1"],
    needs: [],
    ...facts,
  } as CatalogJob;
}

const JOBS = [
  catalogJob(3, { jobName: "vm2", client: "vm2-fd", volumes: ["V2"] }),
  catalogJob(1),
  catalogJob(2, { volumes: ["V2"], needs: ["V1"] }),
  catalogJob(4, { status: "E" }),
  catalogJob(5, { type: "C", copyOf: "u1" } as Partial<CatalogJob>),
  catalogJob(6, { pool: "Other" }),
];
const VOLUMES = [
  { mediaId: 1, name: "V1", pool: "Full", status: "Full", jobs: 2, bytes: 500, lastWrittenMs: 5 },
  { mediaId: 2, name: "V2", pool: "Full", status: "Used", jobs: 2, bytes: 200, lastWrittenMs: 9 },
  { mediaId: 3, name: "V3", pool: "Full", status: "Append", jobs: 1, bytes: 10, lastWrittenMs: 1 },
] as Volume[];

function chosen(job: Partial<JobResource>, pool: Partial<PoolResource> = {}): number[] {
  const resource = { name: "copy", type: "Copy", ...job } as JobResource;
  const limits = { migrationHighBytes: 0, migrationLowBytes: 0, migrationTimeSec: 0 };
  const from = { jobs: JOBS, volumes: VOLUMES, copied: new Set(["u1"]), nowMs: NOW };
  return selectJobs(resource, { name: "Full", ...limits, ...pool } as PoolResource, from);
}

test("jobs of the pool that ended well, by what their names match, in order of start", () => {
  assert.deepEqual(chosen({ selectionType: "Job", selectionPattern: "^vm" }), [1, 2, 3]);
  assert.deepEqual(chosen({ selectionType: "Client", selectionPattern: "vm2" }), [3]);
  assert.deepEqual(chosen({ selectionType: "Volume", selectionPattern: "V2" }), [2, 3]);
  const [first] = JOBS;
  const [jobName, odd] = [first!.jobName, `${"a".repeat(100)}b`];
  first!.jobName = odd;
  assert.deepEqual(
    chosen({ selectionType: "Job", selectionPattern: "(a+)+$" }),
    [],
    "no expression takes for ever",
  );
  first!.jobName = jobName;
  assert.deepEqual(chosen({ selectionType: "PoolUncopiedJobs" }), [2, 3]);
});

test("the smallest and the oldest volume, of those that are not written to any more", () => {
  assert.deepEqual(chosen({ selectionType: "SmallestVolume" }), [2, 3]);
  assert.deepEqual(chosen({ selectionType: "OldestVolume" }), [1, 2]);
});

test("what a statement has found: finished backups among it, of whatever pool", () => {
  const job = { name: "copy", type: "Copy", selectionType: "SqlQuery" } as JobResource;
  const from = { jobs: JOBS, volumes: VOLUMES, copied: new Set<string>(), nowMs: NOW };
  const all = JOBS.map(({ jobId }) => jobId);
  const good = JOBS.filter(({ status, type }) => "TW".includes(status) && type === "B");
  const found = selectJobs(job, { name: "Nowhere" } as PoolResource, { ...from, listed: [999, ...all] });
  assert.deepEqual(found.toSorted(), good.map(({ jobId }) => jobId).toSorted());
  assert.deepEqual(selectJobs(job, { name: "Full" } as PoolResource, { ...from, listed: [2] }), [2]);
});

test("what is over the pool's limits", () => {
  const limits = { migrationHighBytes: 700, migrationLowBytes: 550 };
  assert.deepEqual(chosen({ selectionType: "PoolOccupancy" }, limits), [1, 2]);
  assert.deepEqual(chosen({ selectionType: "PoolOccupancy" }, { ...limits, migrationHighBytes: 800 }), []);
  assert.deepEqual(chosen({ selectionType: "PoolTime" }, { migrationTimeSec: 98 * 3600 - 60 }), [1, 2]);
});

test("a selection that cannot be made is refused with the reason", () => {
  const refused: [Partial<JobResource>, RegExp][] = [
    [{ selectionType: "Job" }, /needs a Selection Pattern/],
    [{ selectionType: "Job", selectionPattern: "(" }, /is not a regular expression/],
    [{ selectionType: "PoolTime" }, /has no MigrationTime/],
    [{ selectionType: "PoolUncopiedJobs", type: "Migrate" }, /is for Copy jobs/],
    [{}, /has no Selection Type/],
  ];
  for (const [job, why] of refused) assert.throws(() => chosen(job), why);
});
