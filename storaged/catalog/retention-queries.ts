/** Reads what retention decides by: runs with what they need, in a few queries for many of them. */

import type { PlanJob } from "../retention/closure.js";
import type { Db } from "./schema.js";
import type { LocalJob, StoredLevel } from "./types.js";

type Raw = Record<string, number | string>;

/**
 * Up to `limit` kept, failed and running runs behind local number `after`, in the order of their begin; not those that
 * are being deleted.
 */
export function retentionJobs(db: Db, after: LocalJob, limit: number): PlanJob[] {
  const rows = db
    .prepare<{ after: LocalJob; limit: number }, Raw>(
      `SELECT j.*, p.name AS pool_name,
         (j.rows = 0 OR j.list_state <> 0 OR EXISTS (SELECT 1 FROM list_in_force b WHERE b.job = j.id)) AS has_list
       FROM job j JOIN pool p ON p.id = j.pool WHERE j.status NOT IN ('D', 'G') AND j.id > @after ORDER BY j.id LIMIT @limit`,
    )
    .all({ after, limit });
  const last = Number(rows.at(-1)?.id ?? after);
  const of = (sql: string) => relation(db, sql, after, last);
  const range = "job > ? AND job <= ?";
  const parents = of(`SELECT job, parent FROM job_parent WHERE ${range} ORDER BY job, ord`);
  const bases = of(
    `SELECT job, base_job FROM job_base WHERE ${range} AND kind = 'overlay' ORDER BY job, ord`,
  );
  const volumes = of(`SELECT DISTINCT job, volume FROM job_volume WHERE ${range}`);
  const needs = of(`SELECT job, volume FROM job_need WHERE ${range}`);
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

function relation(db: Db, sql: string, after: LocalJob, last: LocalJob): Map<LocalJob, number[]> {
  const found = new Map<LocalJob, number[]>();
  const rows = db.prepare<[number, number], [number, number]>(sql).raw();
  for (const [job, other] of rows.iterate(after, last)) {
    const known = found.get(job);
    if (known === undefined) found.set(job, [other]);
    else known.push(other);
  }
  return found;
}
