/**
 * Jobs that are deleted, and volumes that nobody needs any more; on the writing thread, where checking and acting
 * are one step. Nothing that a kept or running job needs can go:
 *
 * - a list goes only when no such job lies over it (`doom`);
 * - content goes volume by volume, when no such job names anything on it (`purgeVolume`).
 */

import { BackupError } from "../../common/errors.js";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { Contexts } from "./writer-context.js";
import { promoteCopyOf } from "./writer-migrate.js";
import type { Needs } from "./writer-needs.js";

/** Blocks or frames removed in one transaction, so that running jobs get their turn. */
const STEP = 100;

/** A kept or running job that needs the list of another one. */
export interface Dependant {
  /** JobId of the one that is needed. */
  needed: number;
  /** JobId and unique name of the one that needs it. */
  jobId: number;
  job: string;
  level: string;
  how: "parent" | "Base" | "running";
}

/** What a delete record names, by the volume it must be appended to. */
export interface RecordPlace {
  volume: number;
  jobs: { jobUuid: string; revision: number }[];
}

/** Who needs a volume: kept jobs by JobId, and whether something that runs holds it. */
export interface VolumeNeed {
  jobIds: number[];
  running: boolean;
}

const KEPT = "status IN ('T', 'W', 'R')";

export class GoneStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #needs: Needs;

  constructor(db: Db, contexts: Contexts, needs: Needs) {
    this.#db = db;
    this.#contexts = contexts;
    this.#needs = needs;
  }

  /** Kept and running jobs outside `jobs` that need one of them. */
  dependants(jobs: readonly LocalJob[]): Dependant[] {
    const going = new Set(jobs);
    const found: Dependant[] = [];
    const seen = new Set<string>();
    const facts = this.#db.prepare<[number], { job_id: number; job: string; level: string }>(
      "SELECT job_id, job, level FROM job WHERE id = ?",
    );
    const add = (needed: LocalJob, by: LocalJob, how: Dependant["how"]): void => {
      if ((going.has(by) && how !== "running") || seen.has(`${needed} ${by}`)) return;
      seen.add(`${needed} ${by}`);
      const { job_id: jobId, job, level } = facts.get(by)!;
      found.push({ needed: facts.get(needed)!.job_id, jobId, job, level, how });
    };
    const above = (table: string, column: string) =>
      this.#db
        .prepare<[number], number>(
          `SELECT r.job FROM ${table} r JOIN job j ON j.id = r.job WHERE r.${column} = ? AND j.${KEPT}`,
        )
        .pluck();
    const parents = above("job_parent", "parent");
    const bases = above("job_base", "base_job");
    for (const job of going) {
      for (const by of parents.all(job)) add(job, by, "parent");
      for (const by of bases.all(job)) add(job, by, "Base");
      for (const context of this.#contexts.running.values()) {
        // A list that is being rewritten has the negative number of its job.
        if (context.layers.has(job)) add(job, Math.abs(context.id), "running");
      }
    }
    return found;
  }

  /**
   * Marks finished jobs as being deleted: from now on nobody sees them, and the next start goes on with them.
   * @throws BackupError JOBS_NEEDED, naming who needs them
   */
  doom(jobs: readonly LocalJob[]): void {
    durably(this.#db, () => {
      const [first, ...more] = this.dependants(jobs);
      if (first !== undefined) {
        const others = more.length === 0 ? "" : `, and ${more.length} more`;
        const text = `JobId ${first.needed} is needed by JobId ${first.jobId} (${first.job}, ${first.level})${others}`;
        throw new BackupError("JOBS_NEEDED", text);
      }
      const mark = this.#db.prepare(
        "UPDATE job SET kept_status = status, status = 'D' WHERE id = ? AND status IN ('T', 'W', 'E', 'A', 'f') AND dirty = 0",
      );
      for (const job of jobs) mark.run(job);
    });
  }

  /** Jobs whose deletion was begun. */
  doomed(): LocalJob[] {
    return this.#db.prepare<[], number>("SELECT id FROM job WHERE status = 'D' ORDER BY id").pluck().all();
  }

  /** Where the end records of these jobs lie: a delete record goes to each of these volumes. */
  recordPlaces(jobs: readonly LocalJob[]): RecordPlace[] {
    const places = new Map<number, RecordPlace>();
    const query = this.#db.prepare<[number], { volume: number; uuid: string; revision: number }>(
      "SELECT r.volume, j.uuid, j.revision FROM job_record r JOIN job j ON j.id = r.job WHERE r.job = ?",
    );
    for (const job of jobs) {
      for (const { volume, uuid, revision } of query.all(job)) {
        const place = places.get(volume) ?? { volume, jobs: [] };
        place.jobs.push({ jobUuid: uuid, revision });
        places.set(volume, place);
      }
    }
    return [...places.values()];
  }

  /** Takes jobs back for which no delete record was written anywhere. */
  undoom(jobs: readonly LocalJob[]): void {
    durably(this.#db, () => {
      const mark = this.#db.prepare("UPDATE job SET status = kept_status WHERE id = ? AND status = 'D'");
      for (const job of jobs) mark.run(job);
    });
  }

  /** Removes a part of a doomed job; true when only its content is left, or nothing. */
  bury(job: LocalJob): boolean {
    return durably(this.#db, () => {
      const status = this.#db
        .prepare<[number], string>("SELECT status FROM job WHERE id = ?")
        .pluck()
        .get(job);
      if (status !== "D") return true;
      for (const table of ["list_block", "state_block"]) {
        const { changes } = this.#db
          .prepare(
            `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE job = ? LIMIT ${STEP})`,
          )
          .run(job);
        if (changes === STEP) return false;
      }
      for (const table of ["job_need", "job_draw", "job_parent", "job_base", "job_volume", "job_record"]) {
        this.#db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(job);
      }
      promoteCopyOf(this.#db, job);
      this.#db.prepare("UPDATE job SET status = 'G', has_state = 0, ending = 0 WHERE id = ?").run(job);
      this.#dropGhost(job);
      return true;
    });
  }

  /** The row of a deleted job goes with the last of what others might use. */
  #dropGhost(job: LocalJob): void {
    for (const table of ["frame", "content"]) {
      if (this.#db.prepare(`SELECT 1 FROM ${table} WHERE job = ? LIMIT 1`).get(job) !== undefined) return;
    }
    // Only jobs that failed can still name it: no other lay over a job that was deleted.
    this.#db.prepare("DELETE FROM job_parent WHERE parent = ?").run(job);
    this.#db.prepare("DELETE FROM job_base WHERE base_job = ?").run(job);
    this.#db.prepare("DELETE FROM job WHERE id = ? AND status = 'G'").run(job);
  }

  /** A record that counts was synced on a volume: it is never cut off. */
  recordEnd(volume: number, end: number): void {
    durably(this.#db, () => {
      this.#db
        .prepare(
          "UPDATE volume SET record_end = max(record_end, @end), bytes = max(bytes, @end) WHERE id = @volume",
        )
        .run({ volume, end });
    });
  }

  /** Failed jobs with an end record that may lie on a volume. */
  endedInVain(): LocalJob[] {
    return this.#db
      .prepare<[], number>("SELECT id FROM job WHERE ending = 1 AND status IN ('E', 'A', 'f')")
      .pluck()
      .all();
  }

  /** Their delete records are written, or their end records cut off. */
  endSettled(job: LocalJob): void {
    durably(this.#db, () => {
      this.#db.prepare("UPDATE job SET ending = 0 WHERE id = ?").run(job);
      this.#db.prepare("DELETE FROM job_record WHERE job = ?").run(job);
    });
  }

  /** Who needs a volume. Jobs that are being deleted still count. */
  needOf(volume: number): VolumeNeed {
    const jobIds = this.#db
      .prepare<{ volume: number }, number>(
        `SELECT DISTINCT j.job_id FROM job j WHERE j.status IN ('T', 'W', 'R', 'D') AND j.id IN (
           SELECT job FROM job_need WHERE volume = @volume UNION SELECT job FROM job_volume WHERE volume = @volume
           UNION SELECT job FROM job_record WHERE volume = @volume) ORDER BY j.job_id`,
      )
      .pluck()
      .all({ volume });
    const contexts = [...this.#contexts.running.values()];
    const held = [...this.#contexts.held.values()].some((volumes) => volumes.has(volume));
    const running = held || contexts.some(({ pinned, needs }) => pinned.has(volume) || needs.has(volume));
    return { jobIds, running };
  }

  /**
   * Marks a volume as Purged when nobody needs it; from then on nothing on it is known, and `purgeStep` clears the
   * catalog of it. The caller makes sure that nobody writes to it. An unneeded volume in another state than those
   * that Bacula purges (Append, Full, Used, Error) stays as it is.
   */
  purgeVolume(volume: number): { purged: boolean; neededBy: number[]; running: boolean } {
    return durably(this.#db, () => {
      const { jobIds: neededBy, running } = this.needOf(volume);
      if (running || neededBy.length > 0) return { purged: false, neededBy, running };
      const { changes } = this.#db
        .prepare(
          "UPDATE volume SET status = 'Purged' WHERE id = ? AND status IN ('Append', 'Full', 'Used', 'Error')",
        )
        .run(volume);
      if (changes > 0) this.#contexts.purging.add(volume);
      return { purged: changes > 0, neededBy, running };
    });
  }

  /** Removes a part of what the catalog knows of a Purged volume; true when nothing is left. */
  purgeStep(volume: number): boolean {
    return this.#db.transaction(() => {
      const status = this.#db
        .prepare<[number], string>("SELECT status FROM volume WHERE id = ?")
        .pluck()
        .get(volume);
      if (status !== "Purged" && status !== "Recycle") return true;
      const frames = this.#db
        .prepare<[number], { id: number; job: number; raw_bytes: number; entries: Buffer }>(
          `SELECT id, job, raw_bytes, entries FROM frame WHERE volume = ? LIMIT ${STEP}`,
        )
        .all(volume);
      this.#removeFrames(frames);
      if (frames.length === STEP) return false;
      this.#db.prepare("UPDATE volume SET live_bytes = 0 WHERE id = ?").run(volume);
      return true;
    })();
  }

  #removeFrames(frames: readonly { id: number; job: number; raw_bytes: number; entries: Buffer }[]): void {
    const chunk = this.#db.prepare("DELETE FROM chunk WHERE digest = ? AND job = ? AND frame = ?");
    const drop = this.#db.prepare("DELETE FROM frame WHERE id = ?");
    for (const { id, job, raw_bytes, entries } of frames) {
      for (const { digest } of readEntries(new ByteReader(entries), raw_bytes)) chunk.run(digest, job, id);
      drop.run(id);
    }
    this.#needs.forget();
    for (const job of new Set(frames.map((frame) => frame.job))) this.#dropContents(job);
  }

  /** Lists of parts of a deleted job of which a part is gone; then the job, when nothing is left. */
  #dropContents(job: LocalJob): void {
    const ghost = this.#db.prepare("SELECT 1 FROM job WHERE id = ? AND status = 'G'").get(job) !== undefined;
    const frames = this.#db.prepare("SELECT 1 FROM frame WHERE job = ? LIMIT 1").get(job) !== undefined;
    if (!ghost || frames) return;
    const contents = this.#db
      .prepare<[number], number>("SELECT id FROM content WHERE job = ?")
      .pluck()
      .all(job);
    for (const content of contents) {
      if (this.#isWhole(content)) continue;
      this.#db.prepare("DELETE FROM content_part WHERE content = ?").run(content);
      this.#db.prepare("DELETE FROM content WHERE id = ?").run(content);
    }
    this.#dropGhost(job);
  }

  /** Every part that is no run of zeros has a copy somewhere. */
  #isWhole(content: number): boolean {
    const copy = this.#db.prepare("SELECT 1 FROM chunk WHERE digest = ? LIMIT 1");
    const segments = this.#db
      .prepare<[number], Buffer>("SELECT data FROM content_part WHERE content = ?")
      .pluck();
    for (const list of segments.iterate(content)) {
      for (let at = 0; at < list.length; at += PART_BYTES) {
        const digest = list.subarray(at + 4, at + PART_BYTES);
        if (!digest.equals(ZERO_DIGEST) && copy.get(digest) === undefined) return false;
      }
    }
    return true;
  }

  /**
   * Keeps volumes from being purged while something reads them. False when one of them is purged already, or carries
   * another label than the one it had when its places were looked up (`uuids`, in the same order).
   */
  hold(holder: string, volumes: readonly number[], uuids?: readonly string[]): boolean {
    const uuid = this.#db.prepare<[number], string>("SELECT uuid FROM volume WHERE id = ?").pluck();
    for (const [i, volume] of volumes.entries()) {
      const now = uuid.get(volume);
      if (now === undefined || this.#contexts.purging.has(volume)) return false;
      if (uuids !== undefined && uuids[i] !== now) return false;
    }
    this.#contexts.held.set(holder, new Set(volumes));
    return true;
  }

  letGo(holder: string): void {
    this.#contexts.held.delete(holder);
  }
}
