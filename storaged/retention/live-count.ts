/**
 * Counts what lives on volumes: content that the own rows of kept jobs name. Every kept job that needs one of the
 * volumes is walked once, block by block; what is found is noted in a scratch file, so that memory stays flat. Of
 * several copies of a content one lives: the one that the job needs its volume for.
 */

import Database from "better-sqlite3";
import { codeOf } from "../../common/errors.js";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { ByteReader } from "../../common/format/varint.js";
import { BlockQueries, type BlockRow } from "../catalog/block-cursor.js";
import type { Db } from "../catalog/schema.js";
import type { LocalJob } from "../catalog/types.js";
import type { CountedJob } from "../catalog/writer-vacuum.js";
import type { JobBeginRecord } from "../volume/records.js";

/** A kept job that has something to do with a volume. */
export interface LiveJob {
  job: LocalJob;
  revision: number;
  jobId: number;
  uuid: string;
  /** An end record of the job lies on the volume. */
  hasRecord: boolean;
  /** Where an end record may end: volume number and offset, on all of its volumes. */
  ends: { volume: number; end: number }[];
}

/** A frame with something that lives. */
export interface LiveFrame {
  frame: number;
  owner: LocalJob;
  offset: number;
  bytes: number;
  rawBytes: number;
  /** As stored in the catalog. */
  entries: Uint8Array;
  /** Offsets in the raw frame of the entries that live. */
  live: number[];
  /** So little lives that only that is to be kept. */
  repack: boolean;
}

export interface LiveTotals {
  frames: number;
  /** Stored bytes: of a frame the share that lives. */
  bytes: number;
}

/** Below this share of live bytes a frame is taken apart. */
const REPACK_SHARE = 0.25;

type Copy = [pool: number, job: number, frame: number, offset: number, length: number, damaged: number];

/** A job whose list is walked. */
interface ListedJob {
  id: LocalJob;
  /** Volumes. */
  needs: ReadonlySet<number>;
  /** Pools and clients whose content it may name: `POOL CLIENT`. */
  draws: ReadonlySet<string>;
}

export class LiveCount {
  readonly #db: Db;
  readonly #scratch: Db;
  readonly #volumes: ReadonlySet<number>;
  readonly #blocks: BlockQueries;
  readonly #todo: LocalJob[];
  readonly #revisions: ReadonlyMap<LocalJob, number>;
  readonly #statements;
  /** Volumes that cannot be read from, most likely. */
  readonly #bad: ReadonlySet<number>;
  readonly #frameVolume = new Map<number, number>();
  readonly #finished = new Map<LocalJob, boolean>();
  readonly #clients = new Map<LocalJob, string>();
  #job: (ListedJob & { last: BlockRow | undefined }) | undefined;
  readonly jobs: number;

  /** `db` reads; `scratchFile` is made anew; `counted`: from `CountStart`, everything that has to do with the volumes. */
  constructor(db: Db, scratchFile: string, volumes: readonly number[], counted: readonly CountedJob[]) {
    this.#db = db;
    this.#volumes = new Set(volumes);
    this.#blocks = new BlockQueries(db, "list_block");
    this.#scratch = new Database(scratchFile);
    this.#scratch.pragma("journal_mode = OFF");
    this.#scratch.pragma("synchronous = OFF");
    this.#scratch.exec(`CREATE TABLE live (frame INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (frame, offset))
      WITHOUT ROWID;
      CREATE TABLE found (volume INTEGER NOT NULL, offset INTEGER NOT NULL, frame INTEGER NOT NULL,
        repack INTEGER NOT NULL, PRIMARY KEY (volume, offset)) WITHOUT ROWID`);
    const bad = db.prepare<[], number>("SELECT id FROM volume WHERE status = 'Error' OR enabled = 0").pluck();
    this.#bad = new Set(bad.all());
    this.#revisions = new Map(counted.map(({ job, revision }) => [job, revision]));
    this.#todo = [...this.#revisions.keys()];
    this.jobs = this.#todo.length;
    this.#statements = {
      copies: db
        .prepare<[Buffer], Copy>(
          "SELECT pool, job, frame, offset, length, damaged FROM chunk WHERE digest = ?",
        )
        .raw(),
      dirty: db.prepare<[number], number>("SELECT dirty FROM job WHERE id = ?").pluck(),
      volume: db.prepare<[number], number>("SELECT volume FROM frame WHERE id = ?").pluck(),
      contents: db.prepare<[Buffer], { id: number; job: number; size: number }>(
        `SELECT c.id, c.job, c.size FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND j.dirty = 0`,
      ),
      parts: db
        .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ? ORDER BY seq")
        .pluck(),
      needs: db.prepare<[number], number>("SELECT volume FROM job_need WHERE job = ?").pluck(),
      draws: db
        .prepare<{ job: number }, string>(
          `SELECT pool || ' ' || client FROM job WHERE id = @job
           UNION SELECT pool || ' ' || client FROM job_draw WHERE job = @job`,
        )
        .pluck(),
      client: db.prepare<[number], string>("SELECT client FROM job WHERE id = ?").pluck(),
      note: this.#scratch.prepare("INSERT OR IGNORE INTO live VALUES (?, ?)"),
    };
  }

  get jobsLeft(): number {
    return this.#todo.length + (this.#job === undefined ? 0 : 1);
  }

  /** Looks at one more block of a list; true when all were looked at. */
  step(): boolean {
    this.#job ??= this.#nextJob();
    const job = this.#job;
    if (job === undefined) return true;
    const block = this.#nextBlock(job);
    if (block === undefined) {
      this.#job = undefined;
      return this.#todo.length === 0;
    }
    job.last = block;
    this.#scratch.transaction(() => {
      for (const { content, flags, size } of decodeBlock(block.data)) {
        if (content === undefined) continue;
        if ((flags & RowFlag.parts) === 0) this.#name(job, content, size);
        else this.#nameParts(job, content, size);
      }
    })();
    return false;
  }

  /** Undefined as well when the job goes meanwhile, or its list changes: then it goes on needing the volumes it needs. */
  #nextBlock({ id, last }: ListedJob & { last: BlockRow | undefined }): BlockRow | undefined {
    try {
      return last === undefined ? this.#blocks.first(id) : this.#blocks.next(id, last);
    } catch (error) {
      if (!["NOT_FOUND", "LIST_REWRITTEN"].includes(codeOf(error) ?? "")) throw error;
      return undefined;
    }
  }

  #nextJob() {
    const id = this.#todo.pop();
    if (id === undefined) return undefined;
    const draws = new Set(this.#statements.draws.all({ job: id }));
    return { id, needs: new Set(this.#statements.needs.all(id)), draws, last: undefined };
  }

  #clientOf(job: LocalJob): string {
    let client = this.#clients.get(job);
    if (client === undefined) {
      client = this.#statements.client.get(job) ?? "";
      if (this.#clients.size >= 20_000) this.#clients.clear();
      this.#clients.set(job, client);
    }
    return client;
  }

  #nameParts(job: ListedJob, identity: Buffer, size: number): void {
    const all = this.#statements.contents.all(identity).filter((content) => content.size === size);
    const content = all.find((one) => one.job === job.id) ?? all[0];
    if (content === undefined) return;
    for (const list of this.#statements.parts.iterate(content.id)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST)) this.#name(job, digest, list.readUInt32LE(at));
      }
    }
  }

  /** Notes the copy that the job reads, if it lies on one of the volumes. */
  #name(job: ListedJob, digest: Buffer, length: number): void {
    let best: { rank: number; frame: number; offset: number; volume: number } | undefined;
    for (const [pool, owner, frame, offset, stored, damaged] of this.#statements.copies.all(digest)) {
      if (stored !== length || !this.#isFinished(owner)) continue;
      const volume = this.#volumeOf(frame);
      let rank = damaged === 0 ? 0 : 32;
      // What runs over this one may name later: content of its own pool and client, and what it drew on itself.
      if (!job.draws.has(`${pool} ${this.#clientOf(owner)}`)) rank += 16;
      if (!job.needs.has(volume)) rank += 4;
      if (this.#bad.has(volume)) rank += 2;
      if (owner !== job.id) rank += 1;
      if (best === undefined || rank < best.rank) best = { rank, frame, offset, volume };
    }
    if (best !== undefined && this.#volumes.has(best.volume))
      this.#statements.note.run(best.frame, best.offset);
  }

  /** What a running job has stored may go again with it: nobody else may come to rely on that. */
  #isFinished(job: LocalJob): boolean {
    let finished = this.#finished.get(job);
    if (finished === undefined) {
      finished = this.#statements.dirty.get(job) === 0;
      if (this.#finished.size >= 20_000) this.#finished.clear();
      this.#finished.set(job, finished);
    }
    return finished;
  }

  #volumeOf(frame: number): number {
    let volume = this.#frameVolume.get(frame);
    if (volume === undefined) {
      volume = this.#statements.volume.get(frame) ?? 0;
      if (this.#frameVolume.size >= 20_000) this.#frameVolume.clear();
      this.#frameVolume.set(frame, volume);
    }
    return volume;
  }

  /** After the last step: what lives on one of the volumes, and which of its frames are to be kept. */
  total(volume: number): LiveTotals {
    const frames = this.#db.prepare<
      [number],
      {
        id: number;
        offset: number;
        bytes: number;
        raw_bytes: number;
        entries: Buffer;
        status: string;
        self: number;
      }
    >(
      `SELECT f.id, f.offset, f.bytes, f.raw_bytes, f.entries, j.status, j.self_contained AS self
       FROM frame f JOIN job j ON j.id = f.job WHERE f.volume = ? AND j.dirty = 0`,
    );
    const found = this.#scratch.prepare("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?)");
    const live = this.#scratch.prepare<[number], number>("SELECT offset FROM live WHERE frame = ?").pluck();
    const totals = { frames: 0, bytes: 0 };
    this.#scratch.transaction(() => {
      for (const frame of frames.iterate(volume)) {
        const kept = frame.status === "T" || frame.status === "W";
        const entries = readEntries(new ByteReader(frame.entries), frame.raw_bytes);
        const offsets = new Set(entries.length === 0 ? [] : live.all(frame.id));
        let all = 0;
        let alive = 0;
        for (const { offset, length } of entries) {
          all += length;
          if (offsets.has(offset)) alive += length;
        }
        // A kept job's own list, and a job that plain tar must be able to bring back, stay whole.
        const share = kept && (entries.length === 0 || frame.self === 1) ? 1 : all === 0 ? 0 : alive / all;
        if (share === 0) continue;
        found.run(volume, frame.offset, frame.id, share < REPACK_SHARE ? 1 : 0);
        totals.frames++;
        totals.bytes += Math.round(frame.bytes * share);
      }
    })();
    return totals;
  }

  /** Frames to keep that lie behind `after`, in the order of the volume; those that moved meanwhile are left out. */
  frames(volume: number, after: number, limit: number): LiveFrame[] {
    const found = this.#scratch
      .prepare<[number, number, number], { frame: number; repack: number }>(
        "SELECT frame, repack FROM found WHERE volume = ? AND offset > ? ORDER BY offset LIMIT ?",
      )
      .all(volume, after, limit);
    const query = this.#db.prepare<
      [number, number],
      { job: number; offset: number; bytes: number; raw_bytes: number; entries: Buffer }
    >("SELECT job, offset, bytes, raw_bytes, entries FROM frame WHERE id = ? AND volume = ?");
    const live = this.#scratch.prepare<[number], number>("SELECT offset FROM live WHERE frame = ?").pluck();
    const frames: LiveFrame[] = [];
    for (const { frame, repack } of found) {
      const row = query.get(frame, volume);
      if (row === undefined) continue;
      const { job: owner, offset, bytes, raw_bytes: rawBytes, entries } = row;
      frames.push({
        frame,
        owner,
        offset,
        bytes,
        rawBytes,
        entries,
        live: live.all(frame),
        repack: repack === 1,
      });
    }
    return frames;
  }

  /** The counted jobs that still have to do with the volume, with their revision when they were counted. */
  jobsOf(volume: number): LiveJob[] {
    const jobs = this.#db
      .prepare<{ volume: number }, { job: number; jobId: number; uuid: string; record: number }>(
        `SELECT j.id AS job, j.job_id AS jobId, j.uuid,
           EXISTS (SELECT 1 FROM job_record r WHERE r.job = j.id AND r.volume = @volume) AS record
         FROM job j WHERE j.status IN ('T', 'W') AND j.id IN (
           SELECT job FROM job_need WHERE volume = @volume UNION SELECT job FROM job_volume WHERE volume = @volume
           UNION SELECT job FROM job_record WHERE volume = @volume)`,
      )
      .all({ volume });
    const ends = this.#db.prepare<[number], { volume: number; end: number }>(
      "SELECT volume, end_offset AS end FROM job_volume WHERE job = ? ORDER BY ord DESC",
    );
    return jobs.flatMap(({ record, ...job }) => {
      const revision = this.#revisions.get(job.job);
      if (revision === undefined) return [];
      return [{ ...job, revision, hasRecord: record === 1, ends: record === 1 ? ends.all(job.job) : [] }];
    });
  }

  /** What a volume's records say of a job, deleted ones too. */
  owner(job: LocalJob): JobBeginRecord | undefined {
    return this.#db
      .prepare<[number], JobBeginRecord>(
        `SELECT j.uuid AS jobUuid, j.job_id AS jobId, j.job, j.job_name AS jobName, j.client, j.file_set AS fileSet,
           j.level, j.start_ms AS startMs, j.file_set_digest AS fileSetDigest, j.comment, j.scheduled_ms AS scheduledMs,
           p.name AS pool, j.type, j.copy_of AS copyOf FROM job j JOIN pool p ON p.id = j.pool WHERE j.id = ?`,
      )
      .get(job);
  }

  close(): void {
    this.#scratch.close();
    this.#db.close();
  }
}
