/** What lives on volumes, after LiveCount has walked the lists: totals, the frames to keep, and the jobs that need them. */

import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import type { LocalJob } from "../catalog/types.js";
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

export class LiveFound {
  readonly #db: Db;
  readonly #scratch: Db;
  readonly #revisions: ReadonlyMap<LocalJob, number>;

  /** `scratch` has what lives in its table `live`; `revisions`: those of the counted jobs. The owner closes both. */
  constructor(db: Db, scratch: Db, revisions: ReadonlyMap<LocalJob, number>) {
    this.#db = db;
    this.#scratch = scratch;
    this.#revisions = revisions;
    scratch.exec(`CREATE TABLE found (volume INTEGER NOT NULL, offset INTEGER NOT NULL, frame INTEGER NOT NULL,
      repack INTEGER NOT NULL, PRIMARY KEY (volume, offset)) WITHOUT ROWID`);
  }

  /** What lives on one of the volumes, and which of its frames are to be kept. */
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
}
