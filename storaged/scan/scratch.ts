/** What a scan has read from volumes and not decided upon yet: a SQLite file that nobody needs afterwards. */
import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import { BackupError, codeOf } from "../../common/errors.js";
import { type FrameIndex, writeEntries } from "../../common/format/frame.js";
import { ByteWriter } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import { uuidText } from "../volume/json.js";
import type { ChangeRecord, JobBeginRecord, JobEndRecord } from "../volume/records.js";

/**
 * `segment`: a run of records and frames without a search for the next record in between; records count only where
 * it is trusted. `frame.state`: 0 not looked at, 1 good, 2 damaged. `plan`: what is to become of a job.
 */
const TABLES = `
  CREATE TABLE volume (id INTEGER PRIMARY KEY, path TEXT NOT NULL, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL UNIQUE,
    pool TEXT NOT NULL, media_type TEXT NOT NULL, device TEXT NOT NULL, created_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL, label TEXT NOT NULL, damaged INTEGER NOT NULL DEFAULT 0,
    local INTEGER, present INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE segment (volume INTEGER NOT NULL, segment INTEGER NOT NULL, trusted INTEGER NOT NULL,
    PRIMARY KEY (volume, segment)) WITHOUT ROWID;
  CREATE TABLE job (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, job_id INTEGER NOT NULL);
  CREATE TABLE begin (job INTEGER NOT NULL, volume INTEGER NOT NULL, offset INTEGER NOT NULL, segment INTEGER NOT NULL,
    body TEXT NOT NULL);
  CREATE INDEX begin_job ON begin(job);
  CREATE TABLE frame (volume INTEGER NOT NULL, offset INTEGER NOT NULL, job INTEGER NOT NULL, seq INTEGER NOT NULL,
    bytes INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, entries BLOB NOT NULL, chunks INTEGER NOT NULL,
    state INTEGER NOT NULL, segment INTEGER NOT NULL, PRIMARY KEY (volume, offset)) WITHOUT ROWID;
  CREATE TABLE ending (job INTEGER NOT NULL, revision INTEGER NOT NULL, volume INTEGER NOT NULL, segment INTEGER NOT NULL,
    offset INTEGER NOT NULL, end INTEGER NOT NULL, body TEXT NOT NULL);
  CREATE INDEX ending_job ON ending(job, revision);
  CREATE TABLE deleted (uuid TEXT NOT NULL, revision INTEGER NOT NULL, volume INTEGER NOT NULL, segment INTEGER NOT NULL);
  CREATE INDEX deleted_job ON deleted(uuid);
  CREATE TABLE content (job INTEGER NOT NULL, volume INTEGER NOT NULL, segment INTEGER NOT NULL);
  CREATE INDEX content_job ON content(job);
  CREATE TABLE plan (job INTEGER PRIMARY KEY, kind TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    volume INTEGER, start_ms INTEGER NOT NULL, job_id INTEGER NOT NULL, local INTEGER, reason TEXT NOT NULL DEFAULT '');`;

/** Made when everything was read: frames are written in the order of their places until then. */
const INDEXES = "CREATE INDEX frame_job ON frame(job, seq)";

export class Scratch {
  readonly db: Db;
  readonly #file: string;

  /** A file left by an interrupted scan is replaced. */
  constructor(file: string) {
    remove(file);
    this.#file = file;
    this.db = new Database(file);
    try {
      this.db.pragma("journal_mode = OFF");
      this.db.pragma("synchronous = OFF");
      this.db.pragma("cache_size = -16000");
      this.db.pragma("temp_store = FILE");
      this.db.exec(TABLES);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Before anything is asked by job. */
  index(): void {
    this.db.exec(INDEXES);
  }

  close(): void {
    this.db.close();
    remove(this.#file);
  }
}

function remove(file: string): void {
  rmSync(file, { force: true });
}

/** A failure of SQLite as an operator reads it; every other error is given back as it is. */
export function sqliteFailure(file: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof BackupError || !code?.startsWith("SQLITE_")) return error;
  const kind = code === "SQLITE_FULL" ? "STORE_FULL" : "CATALOG_UNUSABLE";
  const text = `cannot build the catalog ${file}: ${(error as Error).message}; nothing was changed`;
  return new BackupError(kind, text, { cause: error });
}

/** `frame.state` */
export const FRAME_UNSEEN = 0;
export const FRAME_GOOD = 1;
export const FRAME_DAMAGED = 2;

export interface ScratchJob {
  id: number;
  /** The director's number; 0 until a record said it. */
  jobId: number;
}

/** Where a record stands. */
export interface RecordAt {
  volume: number;
  segment: number;
  offset: number;
  end: number;
}

export interface ScratchFrame {
  volume: number;
  segment: number;
  offset: number;
  end: number;
  index: FrameIndex;
}

const MAX_JOBS = 20_000;

/** Puts down what volumes say. */
export class ScratchWriter {
  readonly #db: Db;
  readonly #begin;
  readonly #frame;
  readonly #ending;
  readonly #deleted;
  readonly #content;
  readonly #segment;
  readonly #job;
  readonly #find;
  readonly #number;
  readonly #damage;
  /** Those met last: a volume holds some thousand jobs at most, unless somebody made it up. */
  readonly #jobs = new Map<string, ScratchJob>();

  constructor({ db }: Scratch) {
    this.#db = db;
    this.#begin = db.prepare("INSERT INTO begin VALUES (?, ?, ?, ?, ?)");
    this.#frame = db.prepare("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#ending = db.prepare("INSERT INTO ending VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#deleted = db.prepare("INSERT INTO deleted VALUES (?, ?, ?, ?)");
    this.#content = db.prepare("INSERT INTO content VALUES (?, ?, ?)");
    this.#segment = db.prepare("INSERT INTO segment VALUES (?, ?, ?)");
    this.#job = db.prepare("INSERT INTO job(uuid, job_id) VALUES (?, ?)");
    this.#find = db.prepare<[string], ScratchJob>("SELECT id, job_id AS jobId FROM job WHERE uuid = ?");
    this.#number = db.prepare("UPDATE job SET job_id = ? WHERE id = ?");
    this.#damage = db.prepare("UPDATE volume SET damaged = 1 WHERE id = ?");
  }

  /** Everything of one volume together. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    this.#db.exec("BEGIN");
    try {
      return await work();
    } finally {
      this.#db.exec("COMMIT");
    }
  }

  job(uuid: string, jobId: number): ScratchJob {
    const job = this.#jobs.get(uuid) ?? this.#remember(uuid, jobId);
    if (job.jobId === 0 && jobId !== 0) {
      job.jobId = jobId;
      this.#number.run(jobId, job.id);
    }
    return job;
  }

  #remember(uuid: string, jobId: number): ScratchJob {
    const job = this.#find.get(uuid) ?? { id: Number(this.#job.run(uuid, jobId).lastInsertRowid), jobId };
    if (this.#jobs.size >= MAX_JOBS) this.#jobs.clear();
    this.#jobs.set(uuid, job);
    return job;
  }

  begin(at: RecordAt, record: JobBeginRecord): void {
    const { id } = this.job(record.jobUuid, record.jobId);
    this.#begin.run(id, at.volume, at.offset, at.segment, JSON.stringify(record));
  }

  ending(at: RecordAt, record: JobEndRecord): void {
    const { id } = this.job(record.jobUuid, record.jobId);
    this.#ending.run(id, record.revision, at.volume, at.segment, at.offset, at.end, JSON.stringify(record));
  }

  change(at: RecordAt, change: ChangeRecord): void {
    if (change.op === "delete") {
      for (const { jobUuid, revision } of change.jobs)
        this.#deleted.run(jobUuid, revision, at.volume, at.segment);
    } else {
      const { id } = this.job(change.job.jobUuid, change.job.jobId);
      this.#begin.run(id, at.volume, at.offset, at.segment, JSON.stringify(change.job));
      this.#content.run(id, at.volume, at.segment);
    }
  }

  frame({ volume, segment, offset, end, index }: ScratchFrame, state: number): void {
    const { id } = this.job(uuidText(index.jobUuid), 0);
    const entries = new ByteWriter(16 + index.entries.length * 40);
    writeEntries(entries, index.entries);
    const { sequence, rawBytes } = index;
    this.#frame.run(
      volume,
      offset,
      id,
      sequence,
      end - offset,
      rawBytes,
      entries.bytes(),
      index.entries.length,
      state,
      segment,
    );
  }

  segment(volume: number, segment: number, trusted: boolean): void {
    this.#segment.run(volume, segment, trusted ? 1 : 0);
  }

  damaged(volume: number): void {
    this.#damage.run(volume);
  }
}
