import assert from "node:assert/strict";
import { test } from "node:test";
import { nowMs } from "../../common/time.js";
import type { DirectorConfig } from "../config/types.js";
import { DirectorDb } from "../db/database.js";
import type { JobRecord } from "../db/records.js";
import { forgetExpired, refreshRecords, type StorageCaller } from "./records.js";

const DAY_MS = 86_400_000;
const client = { name: "a", jobRetentionSec: 10 * 86_400, fileRetentionSec: 0 };
const config = {
  director: { statisticsRetentionSec: 100 * 86_400 },
  jobs: new Map(),
  pools: new Map(),
  clients: new Map([["a", client]]),
  storages: new Map([["File", {}]]),
} as unknown as DirectorConfig;

function make(runs: readonly Partial<JobRecord>[]): DirectorDb {
  const db = DirectorDb.open(":memory:");
  for (const [index, run] of runs.entries()) {
    const { jobId } = db.jobs.create(
      {
        ...{ uuid: `u${index}`, name: "j", type: "B", level: "F", client: "a", fileSet: "f", pool: "P" },
        ...{ storage: "File", priority: 10, schedMs: 1, comment: "", request: "" },
      },
      () => `j.${index}`,
    );
    db.jobs.update(jobId, { status: "T", endMs: nowMs() - 20 * DAY_MS, ...run });
  }
  return db;
}

/** A storage daemon that holds these. */
function holding(jobIds: readonly number[]): (storage: string) => Promise<StorageCaller> {
  return async () => ({
    unary: async <Reply>(_service: string, _method: string, request: object) => {
      const asked = (request as { jobIds: number[] }).jobIds;
      return { jobs: asked.filter((id) => jobIds.includes(id)).map((jobId) => ({ jobId })) } as Reply;
    },
  });
}

async function forgotten(runs: readonly Partial<JobRecord>[], held: readonly number[] | undefined) {
  const db = make(runs);
  const storaged = held === undefined ? () => Promise.reject(new Error("down")) : holding(held);
  const gone = await forgetExpired({ config, records: db.jobs, storaged });
  assert.deepEqual(
    gone.map((record) => db.jobs.get(record.jobId)),
    gone.map(() => undefined),
  );
  db.close();
  return gone.map((record) => record.jobId);
}

const YOUNG = { endMs: nowMs() - DAY_MS };

test("a copy that a daemon holds stays; the newest copy of a run that goes takes its place", async () => {
  const runs = [{}, { type: "C" as const, priorJobId: 1 }, { type: "C" as const, priorJobId: 1 }];
  assert.deepEqual(await forgotten(runs, [1, 2]), [3]);
  const db = make(runs);
  assert.equal(db.jobs.remove([1]), 1);
  assert.deepEqual(
    [2, 3].map((jobId) => db.jobs.get(jobId)?.type),
    ["C", "B"],
  );
  db.close();
});

test("expired records go when nobody holds them; kinds without stored content go by age alone", async () => {
  const runs = [{}, {}, { status: "E" as const }, { type: "R" as const }, { ...YOUNG, status: "A" as const }];
  assert.deepEqual(await forgotten(runs, [1]), [2, 3, 4]);
  assert.deepEqual(await forgotten(runs, undefined), [3, 4]);
});

test("a young good backup that the daemon let go of is forgotten, but not when the daemon knows none", async () => {
  assert.deepEqual(await forgotten([YOUNG, YOUNG], [1]), [2]);
  assert.deepEqual(await forgotten([YOUNG, YOUNG], []), []);
});

test("waiting and running jobs, other clients' without a rule, and jobs of lost storages stay", async () => {
  const runs = [
    { status: "R" as const, endMs: 0 },
    { client: "gone", status: "E" as const },
    { client: "gone", status: "E" as const, endMs: nowMs() - 200 * DAY_MS },
    { storage: "Elsewhere" },
  ];
  assert.deepEqual(await forgotten(runs, []), [3]);
});

test("a rebase changes level and parents of the record, also those of a VirtualFull", async () => {
  const db = make([{ level: "f" }, { level: "I" }]);
  const jobs = [
    { jobId: 1, level: "VirtualFull", chain: [], bases: [7] },
    { jobId: 2, level: "Differential", chain: [1], bases: [] },
  ];
  await refreshRecords(db.jobs, { unary: async <Reply>() => ({ jobs }) as Reply }, [1, 2]);
  const seen = [1, 2].map((jobId) => db.jobs.get(jobId)!);
  assert.deepEqual(
    seen.map(({ level, baseJobIds, priorJobId }) => [level, baseJobIds, priorJobId]),
    [
      ["f", [7], 0],
      ["D", [], 1],
    ],
  );
  db.close();
});
