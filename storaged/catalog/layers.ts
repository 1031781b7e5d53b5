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

  constructor(db: Db) {
    this.#byNumber = db
      .prepare<[number], number>(
        "SELECT id FROM job WHERE job_id = ? AND status IN ('T', 'W') AND type IN ('B', 'C') ORDER BY id DESC LIMIT 1",
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
    const full = this.chainOf(job)[0] ?? job;
    return this.#bases.all(full);
  }

  /** The effective list of one job. */
  effective(job: LocalJob): Layers {
    const jobs = [job, ...this.chainOf(job).reverse()];
    return { jobs: [...jobs, ...this.basesOf(job)], firstBase: jobs.length };
  }

  /**
   * Layers given as JobIds, oldest first; the Bases of every Full among them lie below all. One JobId alone is taken
   * as it is, without the runs it builds on: callers name each layer.
   */
  selection(jobIds: readonly number[]): Layers {
    const jobs = jobIds.map((jobId) => this.local(jobId)).reverse();
    const bases = new Set<LocalJob>();
    for (const job of jobs)
      for (const base of this.#bases.all(job)) if (!jobs.includes(base)) bases.add(base);
    return { jobs: [...jobs, ...bases], firstBase: jobs.length };
  }
}
