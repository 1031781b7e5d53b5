/**
 * Frames that have been moved to another volume, on the writing thread. Who needed the old volume needs the new one
 * from the same moment on: kept jobs in the catalog, running ones in what they have pinned. The old volume keeps
 * its own needs until `leave`.
 */

import type { FrameEntry } from "../../common/format/frame.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import { asBuffer } from "./worker-rpc.js";
import type { Contexts } from "./writer-context.js";
import { addNeed, type NeedMap, type Needs } from "./writer-needs.js";

/** A frame that lies on the target now, synced and read back. */
export interface MovedFrame {
  frame: number;
  /** Where it lay; a frame that is elsewhere by now is left alone. */
  fromOffset: number;
  offset: number;
  bytes: number;
  rawBytes: number;
  /** Repacked: what is left of it. The old frame keeps the rest. */
  entries?: Uint8Array;
}

export interface MoveRequest {
  from: number;
  to: number;
  frames: MovedFrame[];
  /** Synced length of the target, with the records that belong to these frames. */
  end: number;
  writtenMs: number;
}

/** A job whose list was walked when live content was counted. */
export interface CountedJob {
  job: LocalJob;
  revision: number;
}

/** What a count of live content starts from. */
export interface CountStart {
  /** Kept jobs that have to do with the volumes, and whose lists are not being rewritten. */
  jobs: CountedJob[];
  /** Damaged chunks in the catalog. */
  damaged: number;
}

export interface LeaveRequest {
  volume: number;
  jobs: CountedJob[];
  /** Damaged chunks in the catalog when content was counted. */
  damaged: number;
}

/** End records that were written anew, synced. */
export interface PlacedEnds {
  ends: { job: LocalJob; volume: number; offset: number; end: number }[];
  /** Synced lengths of the volumes with end records. */
  lengths: { volume: number; end: number }[];
}

/** An end record may now be written with this revision. */
export interface Reserved {
  revision: number;
  /** Names of the job's volumes without the one that is emptied. */
  volumes: string[];
}

/** Extents remembered; one that is forgotten is followed by another. */
const MAX_GROWN = 10_000;
const GONE = "('Purged', 'Recycle')";

export class VacuumStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;
  /** Where extents begin that moved frames are added to, by job and volume. */
  readonly #grown = new Map<string, number>();

  constructor(db: Db, contexts: Contexts, needs: Needs) {
    this.#db = db;
    this.#contexts = contexts;
    this.#needs = needs;
  }

  /** What a count found. */
  setLive(volume: number, liveBytes: number, measuredMs: number): void {
    this.#db
      .prepare("UPDATE volume SET live_bytes = ?, measured_ms = ? WHERE id = ?")
      .run(liveBytes, measuredMs, volume);
  }

  startCount(volumes: readonly number[]): CountStart {
    const query = this.#db.prepare<{ volume: number }, CountedJob>(
      `SELECT j.id AS job, j.revision FROM job j WHERE j.status IN ('T', 'W') AND j.id IN (
           SELECT job FROM job_need WHERE volume = @volume UNION SELECT job FROM job_volume WHERE volume = @volume
           UNION SELECT job FROM job_record WHERE volume = @volume)`,
    );
    const found = new Map<LocalJob, CountedJob>();
    for (const volume of volumes) for (const job of query.all({ volume })) found.set(job.job, job);
    const jobs = [...found.values()].filter(({ job }) => !this.#contexts.running.has(-job));
    return { jobs, damaged: this.#damagedChunks() };
  }

  #damagedChunks(): number {
    return this.#db.prepare<[], number>("SELECT count(*) FROM chunk WHERE damaged = 1").pluck().get() ?? 0;
  }

  /** Moves frames in one durable transaction; gives those that are on the target now. */
  moveFrames(request: MoveRequest): number[] {
    const { from, to, frames, end, writtenMs } = request;
    const moved = durably(this.#db, () => {
      const gone = this.#db
        .prepare(`SELECT 1 FROM volume WHERE id IN (?, ?) AND status IN ${GONE}`)
        .get(from, to);
      if (gone !== undefined) return [];
      const done = frames.filter((frame) => this.#move(frame, from, to));
      this.#db
        .prepare(`UPDATE volume SET bytes = max(bytes, @end), record_end = max(record_end, @end),
          frames = frames + @count, last_written_ms = max(last_written_ms, @writtenMs),
          first_written_ms = CASE first_written_ms WHEN 0 THEN @writtenMs ELSE first_written_ms END
          WHERE id = @to`)
        .run({ to, end, count: done.length, writtenMs });
      this.#needToo(from, to);
      return done.map(({ frame }) => frame);
    });
    this.#needs.forget();
    return moved;
  }

  #move(moved: MovedFrame, from: number, to: number): boolean {
    const { frame, fromOffset, offset, bytes, entries } = moved;
    const owner = this.#db
      .prepare<[number, number, number], number>(
        "SELECT job FROM frame WHERE id = ? AND volume = ? AND offset = ?",
      )
      .pluck()
      .get(frame, from, fromOffset);
    if (owner === undefined) return false;
    if (entries === undefined) {
      this.#db
        .prepare("UPDATE frame SET volume = ?, offset = ?, bytes = ? WHERE id = ?")
        .run(to, offset, bytes, frame);
    } else this.#insertPart(frame, owner, to, moved, asBuffer(entries));
    this.#holds(owner, to, offset, offset + bytes);
    return true;
  }

  #insertPart(frame: number, owner: LocalJob, to: number, moved: MovedFrame, list: Buffer): void {
    const { offset, bytes, rawBytes } = moved;
    const { lastInsertRowid } = this.#db
      .prepare("INSERT INTO frame(job, volume, offset, bytes, raw_bytes, entries) VALUES (?, ?, ?, ?, ?, ?)")
      .run(owner, to, offset, bytes, rawBytes, list);
    const chunk = this.#db.prepare(
      "UPDATE chunk SET frame = ?, offset = ? WHERE digest = ? AND job = ? AND frame = ?",
    );
    const entries: FrameEntry[] = readEntries(new ByteReader(list), rawBytes);
    for (const entry of entries) chunk.run(Number(lastInsertRowid), entry.offset, entry.digest, owner, frame);
  }

  /**
   * Frames that were moved to a volume: an extent of their own, which grows. Other extents of the job there stay as
   * they are: where one ends an end record may end, and is looked for.
   */
  #holds(job: LocalJob, volume: number, firstOffset: number, endOffset: number): void {
    const key = `${job} ${volume}`;
    const { changes } = this.#db
      .prepare(
        "UPDATE job_volume SET end_offset = max(end_offset, ?) WHERE job = ? AND volume = ? AND first_offset = ?",
      )
      .run(endOffset, job, volume, this.#grown.get(key) ?? -1);
    if (changes > 0) return;
    this.#lies(job, volume, firstOffset, endOffset);
    if (this.#grown.size >= MAX_GROWN) this.#grown.clear();
    this.#grown.set(key, firstOffset);
  }

  /** A kept job has bytes here: they are listed, and never cut off. */
  #lies(job: LocalJob, volume: number, firstOffset: number, endOffset: number): void {
    this.#db
      .prepare(`INSERT INTO job_volume SELECT id,
        (SELECT coalesce(max(ord), -1) + 1 FROM job_volume v WHERE v.job = j.id), @volume, @firstOffset, @endOffset
        FROM job j WHERE j.id = @job AND j.status IN ('T', 'W')`)
      .run({ job, volume, firstOffset, endOffset });
  }

  /** Whoever needs one volume needs the other one too. */
  #needToo(from: number, to: number): void {
    this.#db
      .prepare(`INSERT OR IGNORE INTO job_need SELECT n.job, @to, 0, 0 FROM job_need n JOIN job j ON j.id = n.job
        WHERE n.volume = @from AND j.status IN ('T', 'W')`)
      .run({ from, to });
    const both = (needs: NeedMap): void => {
      if (needs.has(from)) addNeed(needs, to, 0, 0);
    };
    for (const context of this.#contexts.running.values()) {
      if (context.pinned.has(from)) context.pinned.add(to);
      both(context.needs);
      for (const content of context.contents.values()) both(content.needs);
    }
  }

  /**
   * An end record of the job is about to be written on this volume: from now on a delete record would name it.
   * Undefined when the job, its list or its records have changed since it was counted.
   */
  reserveEnd(counted: CountedJob, to: number, leaving: number): Reserved | undefined {
    return durably(this.#db, () => {
      if (!this.#unchanged(counted)) return undefined;
      const revision = counted.revision + 1;
      this.#db.prepare("UPDATE job SET revision = ? WHERE id = ?").run(revision, counted.job);
      this.#db.prepare("INSERT OR IGNORE INTO job_record VALUES (?, ?)").run(counted.job, to);
      const names = this.#db
        .prepare<[number, number], string>(
          `SELECT v.name FROM job_volume j JOIN volume v ON v.id = j.volume WHERE j.job = ? AND j.volume <> ?
           GROUP BY v.id ORDER BY min(j.ord)`,
        )
        .pluck()
        .all(counted.job, leaving);
      return { revision, volumes: names };
    });
  }

  #unchanged({ job, revision }: CountedJob): boolean {
    if (this.#contexts.running.has(-job)) return false;
    const now = this.#db
      .prepare<[number], number>("SELECT revision FROM job WHERE id = ? AND status IN ('T', 'W')")
      .pluck()
      .get(job);
    return now === revision;
  }

  /** From now on these end records are never cut off. */
  noteEnds({ ends, lengths }: PlacedEnds): void {
    durably(this.#db, () => {
      for (const { volume: id, end } of lengths) {
        this.#db
          .prepare(
            "UPDATE volume SET bytes = max(bytes, @end), record_end = max(record_end, @end) WHERE id = @id",
          )
          .run({ id, end });
      }
      for (const { job, volume, offset, end } of ends) this.#lies(job, volume, offset, end);
      this.#grown.clear();
    });
  }

  /**
   * Everything that lives has left the volume: these jobs need it no more. Jobs that changed since they were
   * counted go on needing it. Gives how many do without it now.
   */
  leave({ volume, jobs, damaged }: LeaveRequest): number {
    return durably(this.#db, () => {
      // What was found damaged meanwhile may have its only good copy here.
      if (this.#damagedChunks() !== damaged) return 0;
      const left = jobs.filter((counted) => this.#unchanged(counted));
      for (const { job } of left) {
        for (const table of ["job_need", "job_volume", "job_record"]) {
          this.#db.prepare(`DELETE FROM ${table} WHERE job = ? AND volume = ?`).run(job, volume);
        }
      }
      return left.length;
    });
  }
}
