/** What copies and lists made of other lists ask of the catalog, on a reading connection. */

import { BackupError } from "../../common/errors.js";
import { LayerQueries, type Layers } from "./layers.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

export class CopyQueries {
  readonly #layers: LayerQueries;
  readonly #copy;
  readonly #needs;
  readonly #uuid;

  constructor(db: Db) {
    this.#layers = new LayerQueries(db);
    // A copy of what was itself copied from the wanted job is one of that job too: lists of copies are equal.
    this.#copy = db
      .prepare<{ uuid: string; pool: string }, number>(
        `SELECT j.job_id FROM job j JOIN pool p ON p.id = j.pool WHERE j.status IN ('T', 'W') AND p.name = @pool
         AND j.copy_of <> '' AND (j.copy_of = @uuid OR j.copy_of IN (SELECT copy_of FROM job WHERE uuid = @uuid))
         ORDER BY j.id DESC LIMIT 1`,
      )
      .pluck();
    this.#uuid = db.prepare<[number], string>("SELECT uuid FROM job WHERE id = ?").pluck();
    this.#needs = db.prepare<[number], number>("SELECT volume FROM job_need WHERE job = ?").pluck();
  }

  /** The layers of one job's effective list. @throws BackupError NOT_FOUND */
  effective(jobId: number): Layers {
    return this.#layers.effective(this.#layers.local(jobId));
  }

  /** The layers that a job's own rows lie over: those of the run before it, else its Bases. */
  below(jobId: number): LocalJob[] {
    const job = this.#layers.local(jobId);
    const parent = this.#layers.chainOf(job).at(-1);
    return parent === undefined ? this.#layers.basesOf(job) : this.#layers.effective(parent).jobs;
  }

  /** UUIDs of the runs below a job, oldest first, else of its Bases. */
  parentsOf(jobId: number): string[] {
    const job = this.#layers.local(jobId);
    const chain = this.#layers.chainOf(job);
    const jobs = chain.length > 0 ? chain : this.#layers.basesOf(job);
    return jobs.map((each) => this.#uuid.get(each) ?? "");
  }

  /** JobIds of the newest copies in a pool of the jobs with these UUIDs; undefined unless there is one of each. */
  copiesOf(uuids: readonly string[], pool: string): number[] | undefined {
    const found: number[] = [];
    for (const uuid of uuids) {
      const jobId = this.#copy.get({ uuid, pool });
      if (jobId === undefined) return undefined;
      found.push(jobId);
    }
    return found;
  }

  /** Volumes that hold content of these lists. */
  volumesOf(jobs: readonly LocalJob[]): number[] {
    return [...new Set(jobs.flatMap((job) => this.#needs.all(job)))];
  }

  /** The finished job with this number, which must still be the one meant. @throws BackupError NOT_FOUND */
  check(jobId: number, uuid: string): void {
    if (this.#uuid.get(this.#layers.local(jobId)) !== uuid)
      throw new BackupError("NOT_FOUND", `JobId ${jobId} is another job on this storage now`);
  }
}
