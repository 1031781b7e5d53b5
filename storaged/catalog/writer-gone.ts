/**
 * Jobs that are deleted, and volumes that nobody needs any more; on the writing thread, where checking and acting
 * are one step. Nothing that a kept or running job needs can go:
 *
 * - a list goes only when no such job lies over it (`doom`);
 * - content goes volume by volume, when no such job names anything on it (writer-purge.ts).
 */

import { BackupError } from "../../common/errors.js";
import { removeBlocks } from "./list-number.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { Contexts } from "./writer-context.js";
import { promoteCopyOf } from "./writer-migrate.js";

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

const KEPT = "status IN ('T', 'W', 'R')";

export class GoneStore {
  readonly #db: Db;
  readonly #contexts: Contexts;

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
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
    const status = this.#db.prepare<[number], string>("SELECT status FROM job WHERE id = ?").pluck().get(job);
    if (status !== "D") return true;
    if (!this.#db.transaction(() => this.#removeLists(job))()) return false;
    return durably(this.#db, () => {
      for (const table of ["job_need", "job_draw", "job_parent", "job_base", "job_volume", "job_record"]) {
        this.#db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(job);
      }
      promoteCopyOf(this.#db, job);
      this.#db
        .prepare(
          "UPDATE job SET status = 'G', has_state = 0, ending = 0, list_state = 0, list_old = 0 WHERE id = ?",
        )
        .run(job);
      dropGhost(this.#db, job);
      return true;
    });
  }

  #removeLists(job: LocalJob): boolean {
    // Whoever still reads the list sees this before a block is missing.
    this.#db.prepare("UPDATE job SET list_state = 1 WHERE id = ? AND list_state <> 1").run(job);
    for (const number of [job, -job]) if (!removeBlocks(this.#db, "list_block", number)) return false;
    return removeBlocks(this.#db, "state_block", job);
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
}

/** The row of a deleted job goes with the last of what others might use. */
export function dropGhost(db: Db, job: LocalJob): void {
  for (const table of ["frame", "content"]) {
    if (db.prepare(`SELECT 1 FROM ${table} WHERE job = ? LIMIT 1`).get(job) !== undefined) return;
  }
  // Only jobs that failed can still name it: no other lay over a job that was deleted.
  db.prepare("DELETE FROM job_parent WHERE parent = ?").run(job);
  db.prepare("DELETE FROM job_base WHERE base_job = ?").run(job);
  db.prepare("DELETE FROM job WHERE id = ? AND status = 'G'").run(job);
}
