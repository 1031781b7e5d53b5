import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PART_BYTES, PartsIdentity } from "../../common/format/content.js";
import { type FrameEntry, writeEntries } from "../../common/format/frame.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { ByteWriter } from "../../common/format/varint.js";
import { POOL } from "../session/testing.js";
import { type WriterMethods, writerMethods } from "./catalog-worker.js";
import { STEP_CHUNKS } from "./frame-removal.js";
import { type Db, openForWriting } from "./schema.js";

const CHUNKS = 3 * STEP_CHUNKS - 100;
const TOTALS = {
  ...{ files: 0, deleted: 0, examined: 0, bytes: 0, bytesRead: 0, bytesSent: 0, bytesStored: 0, rawBytes: 0 },
  ...{ baseFiles: 0, baseBytes: 0, usedFiles: 0, errors: 0, warnings: 0 },
};

interface Stage {
  db: Db;
  writer: WriterMethods;
  volume: number;
}

function staged(work: (stage: Stage) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "basalt-steps-"));
  const db = openForWriting(join(directory, "catalog.db"));
  try {
    const writer = writerMethods(db);
    writer.syncPools([POOL]);
    const facts = { pool: POOL.name, mediaType: "File", device: "FileDevice", labelMs: 1, bytes: 100 };
    const { id } = writer.addVolume({ ...facts, name: "Vol-1", uuid: randomUUID(), slot: 0 });
    work({ db, writer, volume: id });
  } finally {
    db.close();
    rmSync(directory, { recursive: true });
  }
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** A running job with one frame of many chunks, and a content made of all of them. */
function store({ writer, volume }: Stage, jobId: number, name: string): number {
  const lineage = { jobName: name, client: "c", fileSet: "f", fileSetDigest: "d", comment: "" };
  const facts = {
    uuid: randomUUID(),
    jobId,
    job: `${name}.${jobId}`,
    level: "Full" as const,
    pool: POOL.name,
  };
  const times = { scheduledMs: 1, startMs: 1 };
  const { id } = writer.begin({ ...lineage, ...facts, ...times, chain: [], bases: [], ownNewest: 0 });
  const entries: FrameEntry[] = [];
  const parts = Buffer.alloc(CHUNKS * PART_BYTES);
  for (let i = 0; i < CHUNKS; i++) {
    const entry = { digest: digest(`${name} ${i}`), offset: i * 10, length: 10 };
    entries.push(entry);
    parts.writeUInt32LE(10, i * PART_BYTES);
    entry.digest.copy(parts, i * PART_BYTES + 4);
  }
  const out = new ByteWriter(16 + CHUNKS * 40);
  writeEntries(out, entries);
  const place = { volume, offset: jobId * 100_000, bytes: 100_000, rawBytes: CHUNKS * 10 };
  writer.addFrames(id, [{ ...place, entries: new Uint8Array(out.bytes()) }]);
  const identity = new PartsIdentity();
  identity.add(parts);
  writer.addParts(id, 0, parts, { size: CHUNKS * 10, identity: identity.digest() });
  return id;
}

function commit({ writer, volume }: Stage, job: number): void {
  const extents = [{ volume, firstOffset: 0, endOffset: 1_000_000 }];
  const volumes = [{ volume, bytes: 1_000_000, frames: 1, writtenMs: 1 }];
  writer.commit({ job, status: "T", endMs: 2, totals: TOTALS, extents, volumes });
}

function count(db: Db, table: string): number {
  return db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get()!;
}

/** Chunks that each call removes, until it says that all is done. */
function steps(db: Db, step: () => boolean): number[] {
  const removed: number[] = [];
  for (let before = count(db, "chunk"); ; before = count(db, "chunk")) {
    const done = step();
    removed.push(before - count(db, "chunk"));
    if (done) return removed;
  }
}

test("a failed job's frame of many chunks goes in several steps, and what it stored stays hidden meanwhile", () =>
  staged((stage) => {
    const { db, writer } = stage;
    const job = store(stage, 1, "one");
    writer.fail(job, "E", "made to fail", 2);
    assert.equal(writer.clean(job), false);
    assert.equal(count(db, "chunk"), CHUNKS - STEP_CHUNKS);
    assert.equal(count(db, "frame"), 1);
    const other = store(stage, 2, "two");
    assert.deepEqual([...writer.known(other, digest("one 500"))], [0]);
    for (const removed of steps(db, () => writer.clean(job))) assert.ok(removed <= STEP_CHUNKS);
    assert.deepEqual([count(db, "chunk"), count(db, "frame"), count(db, "content")], [CHUNKS, 1, 1]);
    assert.deepEqual(db.prepare("SELECT dirty FROM job WHERE id = ?").pluck().get(job), 0);
  }));

/** A job that was deleted: what others may use of it is left. */
function storeAndDelete(stage: Stage): void {
  const job = store(stage, 1, "one");
  commit(stage, job);
  stage.writer.doom([job]);
  while (!stage.writer.bury(job));
}

test("a volume with a frame of many chunks is purged in several steps; a step that fails counts for nothing", () =>
  staged((stage) => {
    const { db, writer, volume } = stage;
    storeAndDelete(stage);
    // The content that others may use is left.
    assert.deepEqual([count(db, "job"), count(db, "content")], [1, 1]);
    assert.equal(writer.purgeVolume(volume).purged, true);
    assert.equal(writer.purgeStep(volume), false);
    assert.equal(count(db, "chunk"), CHUNKS - STEP_CHUNKS);
    db.exec("CREATE TRIGGER full BEFORE DELETE ON chunk BEGIN SELECT raise(ROLLBACK, 'no room'); END");
    assert.throws(() => writer.purgeStep(volume), /no room/);
    db.exec("DROP TRIGGER full");
    const removed = steps(db, () => writer.purgeStep(volume));
    assert.ok(removed.length > 2, String(removed));
    for (const chunks of removed) assert.ok(chunks <= STEP_CHUNKS, String(removed));
    for (const table of ["chunk", "frame", "content", "content_part", "job"])
      assert.equal(count(db, table), 0, table);
  }));

test("an end in the middle of a purge: the next process finds the rest, lists of parts included", () =>
  staged((stage) => {
    const { db, writer, volume } = stage;
    storeAndDelete(stage);
    writer.purgeVolume(volume);
    while (count(db, "chunk") > 0) writer.purgeStep(volume);
    assert.equal(count(db, "content"), 1);
    const next = writerMethods(db);
    while (!next.purgeStep(volume));
    for (const table of ["frame", "content", "content_part", "job"]) assert.equal(count(db, table), 0, table);
  }));

test("marks of damage are set a bounded number of chunks at a time", () =>
  staged((stage) => {
    const { db, writer } = stage;
    commit(stage, store(stage, 1, "one"));
    const frame = db.prepare<[], number>("SELECT id FROM frame").pluck().get()!;
    const marked = () => db.prepare<[], number>("SELECT count(*) FROM chunk WHERE damaged = 1").pluck().get();
    assert.equal(writer.setDamaged(frame, true), STEP_CHUNKS);
    assert.equal(marked(), STEP_CHUNKS);
    assert.equal(writer.setDamaged(frame, true, STEP_CHUNKS), 2 * STEP_CHUNKS);
    assert.equal(writer.setDamaged(frame, true, 2 * STEP_CHUNKS), undefined);
    assert.equal(marked(), CHUNKS);
  }));

test("the state stream of an older run goes after the commit of the next one, in steps", () =>
  staged((stage) => {
    const { db, writer } = stage;
    const insert = db.prepare("INSERT INTO state_block VALUES (?, ?, ?, x'00', 1, x'00')");
    const jobs = [1, 2].map((jobId) => {
      const job = store(stage, jobId, "one");
      for (let i = 0; i < 100; i++) insert.run(job, i, Buffer.from(String(i).padStart(3, "0")));
      commit(stage, job);
      // What the stream would have counted.
      db.prepare("UPDATE job SET has_state = 1 WHERE id = ?").run(job);
      return job;
    });
    const third = store(stage, 3, "one");
    commit(stage, third);
    db.prepare("UPDATE job SET has_state = 2 WHERE id = ?").run(jobs[0]!);
    assert.equal(writer.dropOldStates(), false);
    assert.ok(count(db, "state_block") > 100);
    while (!writer.dropOldStates());
    assert.equal(count(db, "state_block"), 100);
    assert.deepEqual(db.prepare("SELECT has_state FROM job ORDER BY id").pluck().all(), [0, 1, 0]);
  }));

test("what was found damaged since a job was told that it is known, or stored it, may not be named", () =>
  staged((stage) => {
    const { db, writer } = stage;
    const rows = (name: string): Buffer => {
      const block = new BlockWriter({ state: false });
      block.add({ ...emptyRow(name, EntryType.file), size: 10, content: digest(name) });
      return block.finish();
    };
    commit(stage, store(stage, 1, "one"));
    const job = store(stage, 2, "two");
    assert.deepEqual([...writer.known(job, digest("one 7"))], [1]);
    for (const frame of db.prepare<[], number>("SELECT id FROM frame").pluck().all())
      writer.setDamaged(frame, true);
    for (const name of ["one 7", "two 7"])
      assert.throws(() => writer.addRows(job, rows(name)), { code: "CONTENT_GONE" });
    writer.setDamaged(2, false);
    writer.addRows(job, rows("two 8"));
  }));
