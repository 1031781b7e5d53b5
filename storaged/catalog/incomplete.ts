/**
 * Backups that ended early and were kept: runs of type I. Their rows and states count up to a key, kept with their
 * totals. The run that goes on with one takes its place when it is committed, whole or incomplete in its turn.
 */

import { BackupError } from "../../common/errors.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";

export interface IncompleteRun {
  id: LocalJob;
  files: number;
  /** The last key that counts. */
  last: string;
}

/** The newest incomplete run with this JobId; of several the later one knows more. */
export function incompleteRun(db: Db, jobId: number): IncompleteRun | undefined {
  const row = db
    .prepare<[number], { id: number; files: number; last: string | null }>(
      `SELECT id, files, json_extract(totals, '$.keptTo') AS last FROM job
       WHERE job_id = ? AND type = 'I' AND status IN ('T', 'W') AND list_state = 0 ORDER BY id DESC LIMIT 1`,
    )
    .get(jobId);
  if (row === undefined || row.last === null) return undefined;
  return { id: row.id, files: row.files, last: Buffer.from(row.last, "base64").latin1Slice() };
}

/**
 * The revision with which the list of a run begins: members of all attempts under one JobId have the same names, and a
 * list must not be taken for a piece of another one.
 */
export function nextRevision(db: Db, { jobId, job }: { jobId: number; job: string }): number {
  const newest = db
    .prepare<[number, string], number>("SELECT max(revision) FROM job WHERE job_id = ? AND job = ?")
    .pluck()
    .get(jobId, job);
  return (newest ?? 0) + 1;
}

/** Has this backup been finished here? Its director may not have heard of it. */
export function isCommitted(db: Db, { jobId, job }: { jobId: number; job: string }): boolean {
  const found = db.prepare(
    "SELECT 1 FROM job WHERE job_id = ? AND job = ? AND type = 'B' AND status IN ('T', 'W')",
  );
  return found.get(jobId, job) !== undefined;
}

/** @throws BackupError JOB_COMMITTED, JOB_RUNS when another attempt under the JobId is finished, or has not ended yet */
export function refuseTwice(db: Db, job: { jobId: number; job: string }): void {
  const name = `JobId ${job.jobId} (${job.job})`;
  if (isCommitted(db, job))
    throw new BackupError("JOB_COMMITTED", `${name} is a finished backup of this storage already`);
  const running = db.prepare("SELECT 1 FROM job WHERE job_id = ? AND job = ? AND status = 'R'");
  if (running.get(job.jobId, job.job) === undefined) return;
  const text = `an earlier attempt of ${name} has not ended on this storage yet: restart it in a moment`;
  throw new BackupError("JOB_RUNS", text);
}

/** The attempts under one JobId whose content is there, whether or not they still count: each named what came before. */
export function attemptsOf(db: Db, { jobId, job }: { jobId: number; job: string }): LocalJob[] {
  return db
    .prepare<[number, string], number>(
      "SELECT id FROM job WHERE job_id = ? AND job = ? AND dirty = 0 AND status IN ('T', 'W', 'D', 'G')",
    )
    .pluck()
    .all(jobId, job);
}

/** How the key is kept in a job's totals. */
export function keptToJson(key: string): string {
  return Buffer.from(key, "latin1").toString("base64");
}

/** The run that went on is committed: whatever it went on with counts no more and is deleted. Within its transaction. */
export function retireIncomplete(db: Db, job: LocalJob): void {
  db.prepare(
    `UPDATE job SET type = 'M' WHERE type = 'I' AND status IN ('T', 'W') AND id <> @job
     AND (job_id, job) = (SELECT job_id, job FROM job WHERE id = @job)`,
  ).run({ job });
}

/** After a scan: incomplete runs that another attempt has taken the place of, although no volume says so yet. */
export function retireReplaced(db: Db): void {
  db.exec(`UPDATE job SET type = 'M' WHERE type = 'I' AND status IN ('T', 'W') AND EXISTS (
    SELECT 1 FROM job o WHERE o.job_id = job.job_id AND o.job = job.job AND o.id <> job.id
    AND o.status IN ('T', 'W') AND (o.type = 'B' OR (o.type = 'I' AND o.revision > job.revision)))`);
}

/** A run begins again under its number: earlier attempts that failed and left nothing are forgotten. Within its transaction. */
export function forgetFailed(db: Db, { jobId, job }: { jobId: number; job: string }): void {
  const failed = db
    .prepare<[number, string], number>(
      `SELECT id FROM job WHERE job_id = ? AND job = ? AND status IN ('E', 'A', 'f') AND dirty = 0
       AND NOT EXISTS (SELECT 1 FROM frame WHERE frame.job = job.id)
       AND NOT EXISTS (SELECT 1 FROM job_record WHERE job_record.job = job.id)`,
    )
    .pluck();
  for (const id of failed.all(jobId, job)) {
    for (const table of ["job_need", "job_draw", "job_parent", "job_base", "job_volume"])
      db.prepare(`DELETE FROM ${table} WHERE job = ?`).run(id);
    db.prepare("DELETE FROM job WHERE id = ?").run(id);
  }
}
