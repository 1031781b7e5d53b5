/** Which jobs' rows make up a list, from the relations that were frozen when each job began. */

import { BackupError } from "../../common/errors.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

/** One list as an overlay: `jobs` top first; from index `firstBase` on they are Bases. */
export interface Layers {
  jobs: LocalJob[];
  firstBase: number;
}

export class LayerQueries {
  readonly #byNumber;
  readonly #parents;
  readonly #bases;
  readonly #numbers;
  readonly #rewritten;

  constructor(db: Db) {
    this.#byNumber = db
      .prepare<[number], number>(
        `SELECT id FROM job WHERE job_id = ? AND status IN ('T', 'W') AND type IN ('B', 'C', 'I')
         ORDER BY type = 'I', id DESC LIMIT 1`,
      )
      .pluck();
    this.#parents = db
      .prepare<[number], number>("SELECT parent FROM job_parent WHERE job = ? ORDER BY ord")
      .pluck();
    this.#bases = db
      .prepare<[number], number>(
        "SELECT base_job FROM job_base WHERE job = ? AND kind = 'overlay' ORDER BY ord",
      )
      .pluck();
    this.#rewritten = db
      .prepare<[number, number], number>(
        `SELECT 1 FROM job j JOIN job o ON o.job_name = j.job_name AND o.client = j.client
         AND o.file_set = j.file_set AND o.start_ms < j.start_ms
         WHERE j.id = ? AND o.id = ?
         AND j.revision > coalesce(json_extract(j.totals, '$.firstRevision'), 1)`,
      )
      .pluck();
    this.#numbers = db.prepare<[number], number>("SELECT job_id FROM job WHERE id = ?").pluck();
  }

  /** The committed job with the director's number. @throws BackupError NOT_FOUND */
  local(jobId: number): LocalJob {
    const job = this.#byNumber.get(jobId);
    if (job === undefined) {
      throw new BackupError("NOT_FOUND", `JobId ${jobId} is not a finished backup of this storage`);
    }
    return job;
  }

  jobIdOf(job: LocalJob): number {
    return this.#numbers.get(job) ?? 0;
  }

  chainOf(job: LocalJob): LocalJob[] {
    return this.#parents.all(job);
  }

  /** The Bases below a job: those of its Full, in the order of their definition. */
  basesOf(job: LocalJob): LocalJob[] {
    return this.ownBasesOf(this.chainOf(job)[0] ?? job);
  }

  /** The Bases that a job without runs below it lies over. */
  ownBasesOf(job: LocalJob): LocalJob[] {
    return this.#bases.all(job);
  }

  /**
   * A list that was rewritten since its layers were chosen does not say any more what it lacks of a run that it lay
   * over then: what had been deleted would come back.
   */
  #checkLower(job: LocalJob, lower: readonly LocalJob[]): void {
    if (lower.length === 0) return;
    const over = new Set(this.chainOf(job));
    for (const other of lower) {
      if (over.has(other) || this.#rewritten.get(job, other) === undefined) continue;
      const text = `JobId ${this.jobIdOf(job)} does not lie over JobId ${this.jobIdOf(other)} any more: choose the JobIds again`;
      throw new BackupError("LISTS_CHANGED", text);
    }
  }

  /** The effective list of one job. */
  effective(job: LocalJob): Layers {
    const jobs = [job, ...this.chainOf(job).reverse()];
    return { jobs: [...jobs, ...this.basesOf(job)], firstBase: jobs.length };
  }

  /**
   * Layers given as JobIds, oldest first; the Bases of every Full among them lie below all. One JobId alone is taken
   * as it is, without the runs it builds on: callers name each layer.
   * @throws BackupError NOT_FOUND, LISTS_CHANGED
   */
  selection(jobIds: readonly number[]): Layers {
    const jobs = jobIds.map((jobId) => this.local(jobId)).reverse();
    for (const [i, job] of jobs.entries()) this.#checkLower(job, jobs.slice(i + 1));
    const bases = new Set<LocalJob>();
    for (const job of jobs)
      for (const base of this.#bases.all(job)) if (!jobs.includes(base)) bases.add(base);
    return { jobs: [...jobs, ...bases], firstBase: jobs.length };
  }
}
