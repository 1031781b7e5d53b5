import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import { DirectorDb } from "./db/database.js";
import { learnHistory, linkCopies } from "./recover-history.js";

const JOB: CatalogJob = {
  ...{
    jobId: 7,
    uuid: "u7",
    jobName: "vm",
    job: "vm.2026-11-21_01.00.00_03",
    client: "hv1-fd",
    fileSet: "All",
  },
  ...{
    level: "Incremental",
    status: "W",
    startMs: 1000,
    endMs: 2000,
    files: 3,
    bytes: 4,
    bases: [1],
    chain: [2, 5],
  },
  ...{ pool: "Full", volumes: ["V1", "V2"], baseFiles: 9, rows: 3, type: "B", copyOf: "", needs: [] },
  ...{ fileSetDigest: "d", scheduledMs: 900, comment: "c", reason: "" },
};

test("runs that a storage daemon knows become the director's history, once", async (t) => {
  const db = DirectorDb.open(":memory:");
  t.after(() => db.close());
  const failed = { ...JOB, jobId: 9, uuid: "u9", job: "tried", status: "E" };
  const copy = { ...JOB, jobId: 11, uuid: "u11", job: "copy", type: "C", copyOf: "u7" };
  const went = [failed, { ...failed, uuid: "u10", status: "I" }];
  const jobs = [copy, ...went, JOB, { ...JOB, jobId: 8, uuid: "u8", job: "running", status: "R" }];
  const channel = { unary: async () => ({ jobs }) } as unknown as Parameters<typeof learnHistory>[1];
  const learnt = await learnHistory(db, channel, "File");
  assert.deepEqual(learnt, { runs: 3, copies: [{ jobId: 11, of: "u7" }] });
  // Another attempt, because another daemon did not answer, finds the copies again.
  assert.deepEqual(await learnHistory(db, channel, "File"), { ...learnt, runs: 0 });
  linkCopies(db, learnt);
  assert.deepEqual([db.jobs.get(11)?.type, db.jobs.get(11)?.priorJobId], ["C", 7]);
  assert.equal(db.jobs.get(9)?.status, "I");
  const record = db.jobs.get(7)!;
  const { name, level, type, status, storage, priorJobId, baseJobIds, volumes, files, warnings } = record;
  assert.deepEqual(
    { name, level, type, status, storage, priorJobId, baseJobIds, volumes, files, warnings },
    {
      ...{ name: "vm", level: "I", type: "B", status: "W", storage: "File", priorJobId: 5 },
      ...{ baseJobIds: [1], volumes: ["V1", "V2"], files: 3, warnings: 1 },
    },
  );
  assert.equal(db.jobs.get(8), undefined);
});
