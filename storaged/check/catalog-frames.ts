/** The catalog's side of the comparison with one volume: which frames it should hold. In the check's own thread. */

import { DIGEST_BYTES } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import type { CatalogFrame, CatalogJobFacts } from "./types.js";

/** Frames told at a time. */
const PAGE = 200;

interface Raw {
  id: number;
  job: number;
  job_id: number;
  status: string;
  offset: number;
  bytes: number;
  raw_bytes: number;
  entries: Buffer;
}

export class CatalogFrames {
  readonly #db: Db;
  readonly #damaged;
  readonly #addBad;
  readonly #ghosts = "('T', 'W', 'G', 'D')";

  constructor(db: Db) {
    this.#db = db;
    db.exec(`CREATE TEMP TABLE expected(offset INTEGER PRIMARY KEY, id INTEGER NOT NULL, seen INTEGER NOT NULL);
      CREATE TEMP TABLE bad(id INTEGER PRIMARY KEY);
      CREATE TEMP TABLE ended(uuid TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (uuid, revision)) WITHOUT ROWID`);
    this.#damaged = db
      .prepare<[Buffer, number, number], number>(
        "SELECT damaged FROM chunk WHERE digest = ? AND job = ? AND frame = ?",
      )
      .pluck();
    this.#addBad = db.prepare("INSERT OR IGNORE INTO temp.bad VALUES (?)");
  }

  /** Takes note of what the volume should hold; frames of jobs that run or failed do not count. */
  expect(volume: number): number {
    this.#db.exec("DELETE FROM temp.expected");
    return this.#db
      .prepare(
        `INSERT OR IGNORE INTO temp.expected SELECT f.offset, f.id, 0 FROM frame f JOIN job j ON j.id = f.job
         WHERE f.volume = ? AND j.dirty = 0`,
      )
      .run(volume).changes;
  }

  /** The frame whose index record is at `offset`; it counts as seen from now on. */
  frameAt(offset: number): CatalogFrame | undefined {
    const id = this.#db
      .prepare<[number], number>("UPDATE temp.expected SET seen = 1 WHERE offset = ? RETURNING id")
      .pluck()
      .get(offset);
    return id === undefined ? undefined : this.#frame(id);
  }

  /** Expected frames in [from, to) that nobody asked for, a page at a time; they count as seen. */
  unseen(from: number, to: number): CatalogFrame[] {
    const ids = this.#db
      .prepare<[number, number], number>(
        `SELECT id FROM temp.expected WHERE seen = 0 AND offset >= ? AND offset < ? ORDER BY offset LIMIT ${PAGE}`,
      )
      .pluck()
      .all(from, to);
    const mark = this.#db.prepare("UPDATE temp.expected SET seen = 1 WHERE id = ?");
    for (const id of ids) mark.run(id);
    return ids.map((id) => this.#frame(id)).filter((frame) => frame !== undefined);
  }

  #frame(id: number): CatalogFrame | undefined {
    const raw = this.#db
      .prepare<[number], Raw>(
        `SELECT f.id, f.job, j.job_id, j.status, f.offset, f.bytes, f.raw_bytes, f.entries
         FROM frame f JOIN job j ON j.id = f.job WHERE f.id = ?`,
      )
      .get(id);
    if (raw === undefined) return undefined;
    const { job, job_id: jobId, offset, bytes, raw_bytes: rawBytes, entries } = raw;
    let marks = 0;
    let chunks = 0;
    for (const { digest } of readEntries(new ByteReader(entries), rawBytes)) {
      const damaged = this.#damaged.get(digest, job, id);
      if (damaged !== undefined) chunks++;
      if (damaged === 1) marks++;
    }
    const deleted = raw.status === "G" || raw.status === "D";
    const facts = { id, job, jobId, deleted, offset, bytes, rawBytes, entries: new Uint8Array(entries) };
    return { ...facts, setAside: chunks > 0 && marks === chunks, marked: marks > 0 };
  }

  /** What these frames hold is lost as far as this check goes. */
  addBad(frames: readonly number[]): void {
    for (const id of frames) this.#addBad.run(id);
  }

  /** The same for all of a volume from a byte on; how many frames. */
  addBadVolume(volume: number, from: number): number {
    return this.#db
      .prepare("INSERT OR IGNORE INTO temp.bad SELECT id FROM frame WHERE volume = ? AND offset + bytes > ?")
      .run(volume, from).changes;
  }

  badCount(): number {
    return this.#db.prepare<[], number>("SELECT count(*) FROM temp.bad").pluck().get() ?? 0;
  }

  /** Bad frames behind `after`, so that they can be marked step by step. */
  badFrames(after: number, limit: number): number[] {
    return this.#db
      .prepare<[number, number], number>("SELECT id FROM temp.bad WHERE id > ? ORDER BY id LIMIT ?")
      .pluck()
      .all(after, limit);
  }

  /** Volumes with bad frames. */
  badVolumes(): number[] {
    return this.#db
      .prepare<[], number>("SELECT DISTINCT f.volume FROM temp.bad b JOIN frame f ON f.id = b.id")
      .pluck()
      .all();
  }

  /** A finished job by UUID; undefined for others. */
  jobOf(uuid: string): CatalogJobFacts | undefined {
    return this.#db
      .prepare<[string], { id: number; jobId: number; uuid: string; revision: number; status: string }>(
        `SELECT id, job_id AS jobId, uuid, revision, status FROM job
         WHERE uuid = ? AND dirty = 0 AND status IN ${this.#ghosts} AND type IN ('B', 'C')`,
      )
      .get(uuid);
  }

  /**
   * Which of these chunks (32 bytes each) neither the job has nor, undamaged, another finished one of its pool: a place
   * for each, 1 for missing. A job may have stored a chunk twice, and only the other place may have been vacuumed away.
   */
  missing(job: number, digests: Uint8Array): Uint8Array {
    const all = asBuffer(digests);
    const has = this.#db
      .prepare<[Buffer, number], number>(
        "SELECT 1 FROM chunk WHERE digest = ? AND job = ? AND frame <> 0 LIMIT 1",
      )
      .pluck();
    const other = this.#db
      .prepare<[Buffer, number], number>(
        `SELECT 1 FROM chunk c JOIN job j ON j.id = c.job WHERE c.digest = ? AND c.damaged = 0 AND c.frame <> 0
         AND c.pool = (SELECT pool FROM job WHERE id = ?) AND j.dirty = 0 LIMIT 1`,
      )
      .pluck();
    const answer = new Uint8Array(all.length / DIGEST_BYTES);
    for (let i = 0; i < answer.length; i++) {
      const digest = all.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES);
      const found = has.get(digest, job) ?? other.get(digest, job);
      if (found === undefined) answer[i] = 1;
    }
    return answer;
  }

  /** A volume holds this end record. */
  sawEnd(uuid: string, revision: number): void {
    this.#db.prepare("INSERT OR IGNORE INTO temp.ended VALUES (?, ?)").run(uuid, revision);
  }

  /** Kept jobs without their newest end record, all of whose record volumes are among `volumes`. */
  endless(volumes: readonly number[]): { jobId: number; job: string; volume: string }[] {
    return this.#db
      .prepare<[string], { jobId: number; job: string; volume: string }>(
        `SELECT j.job_id AS jobId, j.job, coalesce((SELECT v.name FROM job_record r JOIN volume v ON v.id = r.volume
           WHERE r.job = j.id ORDER BY r.volume DESC LIMIT 1), '') AS volume FROM job j
         WHERE j.status IN ('T', 'W') AND j.type IN ('B', 'C')
         AND NOT EXISTS (SELECT 1 FROM temp.ended e WHERE e.uuid = j.uuid AND e.revision <= j.revision)
         AND NOT EXISTS (SELECT 1 FROM job_record r WHERE r.job = j.id
           AND r.volume NOT IN (SELECT value FROM json_each(?)))
         AND EXISTS (SELECT 1 FROM job_record r WHERE r.job = j.id) ORDER BY j.id`,
      )
      .all(JSON.stringify(volumes));
  }

  /** JobIds of kept jobs that need a volume. */
  jobsNeeding(volume: number): number[] {
    return this.#db
      .prepare<{ volume: number }, number>(
        `SELECT DISTINCT job_id FROM job WHERE status IN ('T', 'W') AND id IN (
           SELECT job FROM job_need WHERE volume = @volume UNION SELECT job FROM job_volume WHERE volume = @volume)
         ORDER BY job_id`,
      )
      .pluck()
      .all({ volume });
  }

  /** What SQLite itself finds wrong with the file; empty: nothing. */
  integrity(quick: boolean): string[] {
    const found = this.#db.pragma(quick ? "quick_check(20)" : "integrity_check(20)") as Record<
      string,
      string
    >[];
    return found.map((row) => Object.values(row)[0] ?? "").filter((text) => text !== "ok");
  }

  /** Chunks that name a frame that is not there. */
  orphanChunks(): number {
    return (
      this.#db
        .prepare<[], number>(
          "SELECT count(*) FROM chunk c WHERE c.frame <> 0 AND NOT EXISTS (SELECT 1 FROM frame f WHERE f.id = c.frame)",
        )
        .pluck()
        .get() ?? 0
    );
  }
}
