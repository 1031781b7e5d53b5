import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Sqlite from "better-sqlite3";
import { DirectorDb } from "./database.js";
import type { NewJob } from "./jobs.js";
import type { JobRecord } from "./records.js";

let serial = 0;
function newJob(changes: Partial<NewJob> = {}): NewJob {
  serial += 1;
  return {
    uuid: `uuid-${serial}`,
    name: "web1",
    type: "B",
    level: "F",
    client: "web1-fd",
    fileSet: "Full Set",
    pool: "Default",
    storage: "File",
    priority: 10,
    schedMs: 1000,
    comment: "",
    request: "",
    ...changes,
  };
}

function create(db: DirectorDb, changes: Partial<NewJob> = {}, later: Partial<JobRecord> = {}): number {
  const { jobId } = db.jobs.create(newJob(changes), (attempt) => `job.${serial}.${attempt}`);
  db.jobs.update(jobId, later);
  return jobId;
}

test("JobIds count up and are not handed out again", () => {
  const db = DirectorDb.open(":memory:");
  assert.equal(db.jobs.started, false);
  assert.equal(create(db), 1);
  assert.equal(create(db), 2);
  db.jobs.update(2, { status: "T", endMs: 5 });
  assert.equal(db.jobs.remove([1, 2, 9]), 1); // 1 still waits
  assert.equal(db.jobs.get(2), undefined);
  assert.equal(create(db), 3);
  db.jobs.startAfter(40);
  assert.equal(create(db), 41);
  db.jobs.startAfter(7);
  assert.equal(create(db), 42);
  db.close();
});

test("a record comes back as it was written", () => {
  const db = DirectorDb.open(":memory:");
  const jobId = create(db, { comment: "täglich" });
  db.jobs.update(jobId, {
    baseJobIds: [12, 15],
    volumes: ["Vol-0001"],
    bytes: 2 ** 52,
    status: "W",
    startMs: 7,
  });
  const record = db.jobs.get(jobId)!;
  assert.deepEqual(record.baseJobIds, [12, 15]);
  assert.deepEqual(record.volumes, ["Vol-0001"]);
  assert.equal(record.bytes, 2 ** 52);
  assert.equal(record.comment, "täglich");
  assert.equal(record.status, "W");
  assert.equal(db.jobs.byUuid(record.uuid)?.jobId, jobId);
  db.close();
});

test("a unique name that is taken is made anew", () => {
  const db = DirectorDb.open(":memory:");
  const first = db.jobs.create(newJob(), () => "web1.now_00");
  const second = db.jobs.create(newJob(), (attempt) => `web1.now_0${attempt}`);
  assert.equal(first.job, "web1.now_00");
  assert.equal(second.job, "web1.now_01");
  db.close();
});

test("filters, order and limit", () => {
  const db = DirectorDb.open(":memory:");
  create(db, { name: "a", level: "F" }, { startMs: 30, status: "T", endMs: 31 });
  create(db, { name: "b", level: "I", client: "x" }, { startMs: 20, status: "E", errors: 2, endMs: 40 });
  create(db, { name: "a", level: "I" }, { startMs: 10, status: "A", endMs: 11 });
  const ids = (filter = {}): number[] => db.jobs.list(filter).map((job) => job.jobId);
  assert.deepEqual(ids(), [3, 2, 1]);
  assert.deepEqual(ids({ order: "desc", limit: 2 }), [1, 2]);
  assert.deepEqual(ids({ name: "a" }), [3, 1]);
  assert.deepEqual(ids({ client: "x" }), [2]);
  assert.deepEqual(ids({ status: ["T", "A"] }), [3, 1]);
  assert.deepEqual(ids({ level: "I", name: "a" }), [3]);
  assert.deepEqual(ids({ withErrors: true }), [2]);
  assert.deepEqual(ids({ jobIds: [1, 2] }), [2, 1]);
  assert.deepEqual(ids({ days: 1 }), []);
  assert.deepEqual(ids({ beforeMs: 25 }), [3, 2]);
  assert.equal(db.jobs.count({ ended: true }), 3);
  assert.deepEqual(
    db.jobs.terminated(2).map((job) => job.jobId),
    [2, 1],
  );
  db.close();
});

test("each console reads every message once, also after a restart", () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-db-"));
  const file = join(directory, "director.db");
  let db = DirectorDb.open(file);
  db.box.add({ name: "web1", text: "one" });
  db.box.add({ name: "", text: "two" });
  assert.deepEqual(
    db.box.take("admin", 1).map((message) => message.text),
    ["one"],
  );
  db.close();
  db = DirectorDb.open(file);
  assert.equal(db.box.pending("admin"), 1);
  assert.equal(db.box.pending("other"), 2);
  db.box.take("admin", 10);
  assert.equal(db.box.pending("admin"), 0);
  db.box.tidy();
  assert.equal(db.box.pending("admin"), 0);
  db.box.add({ name: "", text: "three" });
  assert.deepEqual(
    db.box.take("admin", 10).map((message) => message.text),
    ["three"],
  );
  db.close();
  rmSync(directory, { recursive: true });
});

test("runs go with their logs; figures and logs have an age limit of their own", () => {
  const db = DirectorDb.open(":memory:");
  const old = create(db, {}, { status: "T", endMs: 100, files: 7 });
  const young = create(db, {}, { status: "E", endMs: 900 });
  const waiting = create(db);
  for (const jobId of [old, young]) db.log.add({ jobId, timeMs: jobId * 10, text: "x" });
  assert.equal(db.history.update(500), 1);
  assert.equal(db.history.update(1000), 1);
  assert.equal(db.history.update(1000), 0);
  assert.deepEqual(
    db.jobs.list({ endedBeforeMs: 901 }).map((job) => job.jobId),
    [old, young],
  );
  assert.equal(db.jobs.remove([old, waiting]), 1);
  assert.deepEqual([db.log.list(old).length, db.log.list(young).length, db.history.count()], [0, 1, 2]);
  assert.deepEqual(db.history.expired(200), { figures: 1, logLines: 1 });
  assert.deepEqual(db.history.prune(200), { figures: 1, logLines: 1 });
  assert.deepEqual([db.history.count(), db.log.list(young).length], [1, 0]);
  db.jobs.markFilesPurged([young]);
  assert.equal(db.jobs.get(young)!.purgedFiles, 1);
  db.close();
});

test("a database of a newer release is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "basalt-db-"));
  const file = join(directory, "director.db");
  DirectorDb.open(file).close();
  const raw = new Sqlite(file);
  raw.pragma("user_version = 999");
  raw.close();
  assert.throws(() => DirectorDb.open(file), { code: "DATABASE_NEWER" });
  assert.throws(() => DirectorDb.open(join(directory, "none", "x.db")), { code: "DATABASE_OPEN" });
  rmSync(directory, { recursive: true });
});
