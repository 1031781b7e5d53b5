/** Reads what retention decides by: all runs with what they need, in a few queries whatever their number. */

import type { PlanJob } from "../retention/closure.js";
import type { Db } from "./schema.js";
import type { LocalJob, StoredLevel } from "./types.js";

type Raw = Record<string, number | string>;

/** Kept, failed and running runs in the order of their begin; not those that are being deleted. */
export function retentionJobs(db: Db): PlanJob[] {
  const parents = relation(db, "SELECT job, parent FROM job_parent ORDER BY job, ord");
  const bases = relation(db, "SELECT job, base_job FROM job_base WHERE kind = 'overlay' ORDER BY job, ord");
  const volumes = relation(db, "SELECT DISTINCT job, volume FROM job_volume");
  const needs = relation(db, "SELECT job, volume FROM job_need");
  const rows = db
    .prepare<[], Raw>(
      `SELECT j.*, p.name AS pool_name,
         (j.rows = 0 OR j.list_state <> 0 OR EXISTS (SELECT 1 FROM list_block b WHERE b.job = j.id)) AS has_list
       FROM job j JOIN pool p ON p.id = j.pool WHERE j.status NOT IN ('D', 'G') ORDER BY j.id`,
    )
    .all();
  const none: LocalJob[] = [];
  return rows.map((raw) => {
    const id = Number(raw.id);
    return {
      id,
      jobId: Number(raw.job_id),
      job: String(raw.job),
      jobName: String(raw.job_name),
      client: String(raw.client),
      fileSet: String(raw.file_set),
      level: String(raw.level) as StoredLevel,
      type: String(raw.type),
      status: String(raw.status),
      pool: String(raw.pool_name),
      startMs: Number(raw.start_ms),
      endMs: Number(raw.end_ms),
      bytes: Number(raw.bytes),
      hasList: raw.has_list === 1,
      listDropped: raw.list_state !== 0,
      parents: parents.get(id) ?? none,
      bases: bases.get(id) ?? none,
      volumes: volumes.get(id) ?? none,
      needs: needs.get(id) ?? none,
    };
  });
}

function relation(db: Db, sql: string): Map<LocalJob, number[]> {
  const found = new Map<LocalJob, number[]>();
  for (const [job, other] of db.prepare<[], [number, number]>(sql).raw().iterate()) {
    const known = found.get(job);
    if (known === undefined) found.set(job, [other]);
    else known.push(other);
  }
  return found;
}
