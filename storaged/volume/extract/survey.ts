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
import { decodeChange, decodeJobBegin, decodeJobEnd, type JobEndRecord } from "../records.js";
import { MAX_FRAME_BYTES } from "../zstd-frame.js";

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

/** A job with an end record in force. */
export interface FoundJob {
  end: JobEndRecord;
}

const SCHEMA = `
  CREATE TABLE frame (job BLOB, sequence INTEGER, volume INTEGER, offset INTEGER, length INTEGER, entries INTEGER);
  CREATE TABLE chunk (digest BLOB, at INTEGER, size INTEGER, volume INTEGER, offset INTEGER, length INTEGER);
  CREATE TABLE name (first BLOB PRIMARY KEY, made BLOB) WITHOUT ROWID;
`;
const INDEXES = `
  CREATE INDEX frame_of_job ON frame (job, sequence);
  CREATE INDEX chunk_by_digest ON chunk (digest);
`;

/** Volumes that are open together, and the index of what they hold. The caller closes it. */
export class Survey {
  readonly readers: readonly VolumeReader[];
  readonly #directory: string;
  readonly #db: Database.Database;
  readonly #ends = new Map<string, JobEndRecord>();
  /** Highest revision that a delete record names, by UUID. */
  readonly #deleted = new Map<string, number>();

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

  /** Jobs that were committed and not deleted since, oldest first. */
  jobs(): FoundJob[] {
    return [...this.#ends.values()]
      .filter((end) => end.revision > (this.#deleted.get(end.jobUuid) ?? 0))
      .sort((a, b) => a.endMs - b.endMs || a.jobId - b.jobId)
      .map((end) => ({ end }));
  }

  /** Numbers of the frames that hold the list of this end record, as far as they are on these volumes. */
  closing({ jobUuid, closing: [first, count] }: JobEndRecord): number[] {
    return this.#db
      .prepare<[Buffer, number, number], number>(
        "SELECT DISTINCT sequence FROM frame WHERE job = ? AND sequence BETWEEN ? AND ? AND entries = 0 ORDER BY 1",
      )
      .pluck()
      .all(uuidBytes(jobUuid), first, count === 0 ? Number.MAX_SAFE_INTEGER : first + count - 1);
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

  /** Key under which the first member of a hard link group was extracted; undefined when none was yet. */
  firstName(group: string): string | undefined {
    return this.#db
      .prepare<[Buffer], Buffer>("SELECT made FROM name WHERE first = ?")
      .pluck()
      .get(Buffer.from(group, "latin1"))
      ?.latin1Slice();
  }

  setFirstName(group: string, key: string): void {
    const bytes = [group, key].map((text) => Buffer.from(text, "latin1"));
    this.#db.prepare("INSERT OR IGNORE INTO name VALUES (?, ?)").run(...bytes);
  }

  async #read(volume: number, damage: (text: string) => Promise<void>): Promise<void> {
    const reader = this.readers[volume]!;
    const run = new Run();
    this.#db.exec("BEGIN");
    for await (const item of reader.scan({ recover: true, frames: false })) {
      let reason = item.type === "damage" ? item.reason : undefined;
      try {
        if (item.type === "record") run.record(() => this.#record(item.kind, item.body));
        else if (item.type === "frame") this.#frame(volume, item);
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

  #frame(volume: number, { index, offset, end }: Extract<VolumeItem, { type: "frame" }>): void {
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
      for (const { jobUuid, revision } of change.jobs)
        this.#deleted.set(jobUuid, Math.max(revision, this.#deleted.get(jobUuid) ?? 0));
    }
  }

  #end(end: JobEndRecord): void {
    if (end.revision >= (this.#ends.get(end.jobUuid)?.revision ?? 0)) this.#ends.set(end.jobUuid, end);
  }
}

/**
 * Holds records back that were found by searching behind damage: they may be the content of a file, which ends with
 * the frame that it lies in. They count when what follows goes on for longer than that, or to the end of the volume.
 */
class Run {
  #held: (() => void)[] = [];
  /** Where a searched run began; undefined when everything is believed. */
  #start: number | undefined;

  record(take: () => void): void {
    if (this.#start === undefined) take();
    else this.#held.push(take);
  }

  passed(item: VolumeItem): void {
    if (item.type === "damage" && item.searched) {
      this.#held = [];
      this.#start = item.end;
    } else if (this.#start !== undefined && item.end - this.#start > MAX_FRAME_BYTES) this.end();
  }

  end(): void {
    this.#start = undefined;
    for (const take of this.#held.splice(0)) {
      try {
        take();
      } catch (error) {
        if (!(error instanceof GarbledInput)) throw error;
      }
    }
  }
}
