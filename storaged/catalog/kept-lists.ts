/** Which lists somebody is about to read, which of them are not in the catalog, and where those can be read again. */

import { LayerQueries } from "./layers.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

/** A job whose list is on its volumes only. */
export interface DroppedList {
  job: LocalJob;
  jobId: number;
  uuid: string;
  rows: number;
}

/** A frame without content of its own: of the manifest, most likely. */
export interface ClosingFrame {
  volume: number;
  offset: number;
  bytes: number;
  rawBytes: number;
}

/** `entries` of a frame without chunks: the count alone. */
const NO_ENTRIES_BYTES = 1;

/** On a reading thread. */
export class KeptLists {
  readonly #db: Db;
  readonly #layers: LayerQueries;

  constructor(db: Db) {
    this.#db = db;
    this.#layers = new LayerQueries(db);
  }

  /** These jobs with everything that they lie over. Numbers that no finished job has are passed over. */
  listsOf(jobIds: readonly number[]): LocalJob[] {
    const known = this.#db.prepare(
      "SELECT 1 FROM job WHERE job_id = ? AND status IN ('T', 'W') AND type IN ('B', 'C', 'I')",
    );
    const found = new Set<LocalJob>();
    for (const jobId of jobIds) {
      if (known.get(jobId) === undefined) continue;
      for (const job of this.#all(this.#layers.local(jobId))) found.add(job);
    }
    return [...found];
  }

  #all(job: LocalJob): LocalJob[] {
    return this.#layers.effective(job).jobs;
  }

  /** Those of the jobs whose lists are not here. */
  droppedLists(jobs: readonly LocalJob[]): DroppedList[] {
    const query = this.#db.prepare<[number], DroppedList>(
      `SELECT id AS job, job_id AS jobId, uuid, rows FROM job
       WHERE id = ? AND list_state <> 0 AND status IN ('T', 'W')`,
    );
    return jobs.flatMap((job) => query.get(job) ?? []);
  }

  /** Dropped lists of jobs that need one of these volumes, or lie on one. */
  droppedOn(volumes: readonly number[]): DroppedList[] {
    const query = this.#db.prepare<{ volume: number }, DroppedList>(
      `SELECT id AS job, job_id AS jobId, uuid, rows FROM job
       WHERE list_state <> 0 AND status IN ('T', 'W') AND id IN (SELECT job FROM job_need WHERE volume = @volume
         UNION SELECT job FROM job_volume WHERE volume = @volume) ORDER BY id`,
    );
    const found = new Map<LocalJob, DroppedList>();
    for (const volume of volumes) for (const list of query.all({ volume })) found.set(list.job, list);
    return [...found.values()];
  }

  /** JobIds of the job and of all that lie over its list. */
  jobsOver(job: LocalJob): number[] {
    return this.#db
      .prepare<{ job: number }, number>(
        `WITH near(id) AS (SELECT @job UNION SELECT job FROM job_base WHERE base_job = @job)
         SELECT DISTINCT job_id FROM job WHERE status IN ('T', 'W') AND id IN (SELECT id FROM near
           UNION SELECT p.job FROM job_parent p JOIN near n ON n.id = p.parent) ORDER BY job_id`,
      )
      .pluck()
      .all({ job });
  }

  /** What tells a job's manifest from another's. */
  listFacts(job: LocalJob): DroppedList | undefined {
    return this.#db
      .prepare<[number], DroppedList>(
        "SELECT id AS job, job_id AS jobId, uuid, rows FROM job WHERE id = ? AND status IN ('T', 'W')",
      )
      .get(job);
  }

  /** Closing frames of all revisions in the order of writing. */
  closingFrames(job: LocalJob): ClosingFrame[] {
    return this.#db
      .prepare<[number], ClosingFrame>(
        `SELECT volume, offset, bytes, raw_bytes AS rawBytes FROM frame
         WHERE job = ? AND length(entries) = ${NO_ENTRIES_BYTES} ORDER BY id`,
      )
      .all(job);
  }
}
