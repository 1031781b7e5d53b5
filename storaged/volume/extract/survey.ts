/**
 * What lies on some volume files: jobs, frames and chunks, found without any catalog. The index is a temporary SQLite
 * file, so that memory does not grow with the volumes. Frames are not read here: contents are found by digest and
 * checked when they are used, and damage is told and passed over.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { RecordKind } from "../../../common/format/frame.js";
import { GarbledInput } from "../../../common/format/varint.js";
import type { Store } from "../../store/store.js";
import { uuidBytes } from "../json.js";
import { type VolumeItem, VolumeReader } from "../reader.js";
import { decodeChange, decodeJobBegin, decodeJobEnd, type JobEndRecord, priorOf } from "../records.js";
import { SearchedRun } from "./searched-run.js";

/** Where a frame lies. */
export interface FramePlace {
  /** Number of the volume in the order in which they were given. */
  volume: number;
  offset: number;
  /** Index record and frame together. */
  length: number;
}

/** A chunk in a frame. */
export interface ChunkPlace extends FramePlace {
  /** In the decompressed frame. */
  at: number;
  size: number;
}

type FrameItem = Pick<Extract<VolumeItem, { type: "frame" }>, "index" | "offset" | "end">;

/** What an extraction asks of an end record; of the parents the last alone is there. */
export type ListRecord = Pick<
  JobEndRecord,
  "jobUuid" | "jobId" | "job" | "revision" | "closing" | "manifest" | "rows" | "parents" | "bases"
> & {
  /** It ended early, and what it had stored was kept. */
  torn?: true;
};

const SCHEMA = `
  CREATE TABLE frame (job BLOB, sequence INTEGER, volume INTEGER, offset INTEGER, length INTEGER, entries INTEGER);
  CREATE TABLE chunk (digest BLOB, at INTEGER, size INTEGER, volume INTEGER, offset INTEGER, length INTEGER);
  CREATE TABLE name (first BLOB PRIMARY KEY, made BLOB, entry TEXT) WITHOUT ROWID;
  CREATE TABLE ending (uuid TEXT PRIMARY KEY, revision INTEGER, end_ms INTEGER, job_id INTEGER, copy_of TEXT, torn INTEGER,
    body TEXT) WITHOUT ROWID;
  CREATE TABLE prior (uuid TEXT, copy TEXT, PRIMARY KEY (uuid, copy)) WITHOUT ROWID;
  CREATE TABLE deleted (uuid TEXT PRIMARY KEY, revision INTEGER) WITHOUT ROWID;
  CREATE VIEW job AS SELECT * FROM ending e
    WHERE NOT EXISTS (SELECT 1 FROM deleted d WHERE d.uuid = e.uuid AND d.revision >= e.revision);
`;
const INDEXES = `
  CREATE INDEX frame_of_job ON frame (job, sequence);
  CREATE INDEX chunk_by_digest ON chunk (digest);
  CREATE INDEX ending_by_end ON ending (end_ms, job_id);
  CREATE INDEX ending_by_copy ON ending (copy_of) WHERE copy_of IS NOT NULL;
`;

/** Volumes that are open together, and the index of what they hold. The caller closes it. */
export class Survey {
  readonly readers: readonly VolumeReader[];
  readonly #directory: string;
  readonly #db: Database.Database;

  private constructor(readers: readonly VolumeReader[]) {
    this.readers = readers;
    this.#directory = mkdtempSync(join(tmpdir(), "basalt-extract-"));
    this.#db = new Database(join(this.#directory, "index.db"));
    this.#db.pragma("journal_mode = OFF");
    this.#db.pragma("synchronous = OFF");
    this.#db.exec(SCHEMA);
  }

  /**
   * Opens the volumes and reads all their records. `damage` is told about what could not be read.
   * @throws STORE_ codes when a file cannot be opened; DamagedVolume when one is no volume
   */
  static async of(
    store: Store,
    paths: readonly string[],
    damage: (text: string) => Promise<void>,
  ): Promise<Survey> {
    const readers: VolumeReader[] = [];
    let survey: Survey | undefined;
    try {
      for (const path of paths) readers.push(await VolumeReader.open(store, path));
      for (const reader of readers) await reader.readLabel();
      survey = new Survey(readers);
      for (const volume of readers.keys()) await survey.#read(volume, damage);
      survey.#db.exec(INDEXES);
      return survey;
    } catch (error) {
      if (survey === undefined) for (const reader of readers) await reader.close();
      else await survey.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#db.close();
    rmSync(this.#directory, { recursive: true, force: true });
    for (const reader of this.readers) await reader.close();
  }

  /**
   * The newest of the committed jobs that were not deleted since, or of those with this number or UUID. An incomplete
   * one only where there is no other.
   */
  job(wanted: string | undefined): ListRecord | undefined {
    const which = wanted === undefined ? "" : "WHERE uuid = @wanted OR CAST(job_id AS TEXT) = @wanted";
    return this.#one(`SELECT body FROM job ${which} ORDER BY torn, end_ms DESC, job_id DESC LIMIT 1`, {
      wanted,
    });
  }

  /** The job with that UUID, or the copy that stands for it when it is gone. */
  jobOrCopy(uuid: string): ListRecord | undefined {
    return (
      this.#one("SELECT body FROM job WHERE uuid = @uuid", { uuid }) ??
      this.#one(
        `SELECT body FROM job WHERE copy_of = @uuid OR uuid IN (SELECT copy FROM prior WHERE prior.uuid = @uuid)
         ORDER BY end_ms DESC, job_id DESC LIMIT 1`,
        { uuid },
      )
    );
  }

  /** Numbers of the jobs that `job` finds, oldest first, but no more than `limit`. */
  jobIds(limit: number): number[] {
    return this.#db
      .prepare<[number], number>(
        "SELECT job_id FROM job GROUP BY job_id ORDER BY max(end_ms), job_id LIMIT ?",
      )
      .pluck()
      .all(limit);
  }

  #one(query: string, values: object): ListRecord | undefined {
    const body = this.#db.prepare<[object], string>(query).pluck().get(values);
    return body === undefined ? undefined : (JSON.parse(body) as ListRecord);
  }

  /** Numbers of the frames that hold the list of this end record, as far as they are on these volumes. */
  closing({ jobUuid, closing: [first, count] }: ListRecord): number[] {
    return this.#db
      .prepare<[Buffer, number, number], number>(
        "SELECT DISTINCT sequence FROM frame WHERE job = ? AND sequence BETWEEN ? AND ? AND entries = 0 ORDER BY 1",
      )
      .pluck()
      .all(uuidBytes(jobUuid), first, first + count - 1);
  }

  /** Copies of one frame of a job; all are equal. */
  frames(jobUuid: Buffer, sequence: number): FramePlace[] {
    return this.#db
      .prepare<[Buffer, number], FramePlace>(
        "SELECT volume, offset, length FROM frame WHERE job = ? AND sequence = ? AND entries = 0",
      )
      .all(jobUuid, sequence);
  }

  /** Everywhere that a chunk lies. */
  chunks(digest: Buffer): ChunkPlace[] {
    this.#findChunk ??= this.#db.prepare<[Buffer], ChunkPlace>(
      "SELECT volume, offset, length, at, size FROM chunk WHERE digest = ? LIMIT 16",
    );
    return this.#findChunk.all(digest);
  }
  #findChunk: Database.Statement<[Buffer], ChunkPlace> | undefined;

  /**
   * Key under which the first member of a hard link group was extracted; undefined when none was yet, or when it was
   * not `entry`: a list that says so is not followed.
   */
  firstName(group: string, entry: string): string | undefined {
    return this.#db
      .prepare<[Buffer, string], Buffer>("SELECT made FROM name WHERE first = ? AND entry = ?")
      .pluck()
      .get(Buffer.from(group, "latin1"), entry)
      ?.latin1Slice();
  }

  setFirstName(group: string, key: string, entry: string): void {
    const bytes = [group, key].map((text) => Buffer.from(text, "latin1"));
    this.#db.prepare("INSERT OR IGNORE INTO name VALUES (?, ?, ?)").run(...bytes, entry);
  }

  async #read(volume: number, damage: (text: string) => Promise<void>): Promise<void> {
    const reader = this.readers[volume]!;
    const run = new SearchedRun();
    this.#db.exec("BEGIN");
    for await (const item of reader.scan({ recover: true, frames: false })) {
      let reason = item.type === "damage" ? item.reason : undefined;
      try {
        if (item.type === "record") run.record(item.body, this.#recordTaker(item.kind));
        else if (item.type === "frame" && item.index.entries.length > 0) this.#frame(volume, item);
        else if (item.type === "frame") run.record(item.index.jobUuid, this.#frameTaker(volume, item));
        run.passed(item);
      } catch (error) {
        if (!(error instanceof GarbledInput)) throw error;
        reason = error.message;
      }
      if (reason !== undefined) await damage(`${reader.path}: at byte ${item.offset}: ${reason}`);
    }
    run.end();
    this.#db.exec("COMMIT");
  }

  // In functions of their own: what they give must not hold on to the item, whose bytes lie in a large buffer.
  #recordTaker(kind: RecordKind): (body: Buffer) => void {
    return (body) => this.#record(kind, body);
  }

  #frameTaker(volume: number, { index, offset, end }: FrameItem): (jobUuid: Buffer) => void {
    const { sequence, compressedBytes, rawBytes } = index;
    return (jobUuid) =>
      this.#frame(volume, {
        index: { jobUuid, sequence, compressedBytes, rawBytes, entries: [] },
        offset,
        end,
      });
  }

  #frame(volume: number, { index, offset, end }: FrameItem): void {
    const length = end - offset;
    this.#addFrame ??= this.#db.prepare("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?)");
    this.#addFrame.run(index.jobUuid, index.sequence, volume, offset, length, index.entries.length);
    this.#addChunk ??= this.#db.prepare("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?)");
    for (const entry of index.entries)
      this.#addChunk.run(entry.digest, entry.offset, entry.length, volume, offset, length);
  }
  #addFrame: Database.Statement | undefined;
  #addChunk: Database.Statement | undefined;

  #record(kind: RecordKind, body: Buffer): void {
    if (kind === RecordKind.jobBegin) decodeJobBegin(body);
    else if (kind === RecordKind.jobEnd) this.#end(decodeJobEnd(body));
    else if (kind === RecordKind.catalog) {
      const change = decodeChange(body);
      if (change?.op !== "delete") return;
      this.#addDeleted ??= this.#db.prepare(`INSERT INTO deleted VALUES (?, ?)
        ON CONFLICT DO UPDATE SET revision = max(revision, excluded.revision)`);
      for (const { jobUuid, revision } of change.jobs) this.#addDeleted.run(jobUuid, revision);
    }
  }
  #addDeleted: Database.Statement | undefined;

  #end(end: JobEndRecord): void {
    this.#addEnd ??=
      this.#db.prepare(`INSERT INTO ending VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
      revision = excluded.revision, end_ms = excluded.end_ms, job_id = excluded.job_id, copy_of = excluded.copy_of,
      torn = excluded.torn, body = excluded.body WHERE excluded.revision >= revision`);
    const { jobUuid, revision, endMs, jobId, copyOf, type } = end;
    const original = typeof copyOf === "string" ? copyOf : null;
    this.#addEnd.run(
      jobUuid,
      revision,
      endMs,
      jobId,
      original,
      type === "I" ? 1 : 0,
      JSON.stringify(inShort(end)),
    );
    this.#addPrior ??= this.#db.prepare("INSERT OR IGNORE INTO prior VALUES (?, ?)");
    for (const uuid of priorOf(end)) this.#addPrior.run(uuid, jobUuid);
  }
  #addEnd: Database.Statement | undefined;
  #addPrior: Database.Statement | undefined;
}

/** Many of them may be in memory at once. */
function inShort(end: JobEndRecord): ListRecord {
  const { jobUuid, jobId, job, revision, closing, manifest, rows, parents, bases } = end;
  const over = { parents: parents.slice(-1), bases: parents.length > 0 ? [] : bases };
  const short = { jobUuid, jobId, job: job.slice(0, 1000), revision, closing, rows, ...over };
  const torn = end.type === "I" ? ({ torn: true } as const) : {};
  return { ...short, ...torn, ...(manifest === undefined ? {} : { manifest }) };
}
