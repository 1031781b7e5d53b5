/** What the records of all volumes together say: which jobs exist, which were deleted, which never came to an end. */
import type { Db } from "../catalog/schema.js";
import type { JobBeginRecord, JobEndRecord } from "../volume/records.js";

/**
 * kept: committed and not deleted. ghost: deleted, its content is still content. failed: no end record counts, so the
 * job does not.
 */
export type JobFate = "kept" | "ghost" | "failed";

export interface JobPlan {
  /** Scratch number. */
  job: number;
  kind: JobFate;
  /** The end record in force; for others the begin record. */
  record: JobEndRecord | JobBeginRecord;
  /** Scratch number of the volume with the record in force. */
  volume: number | null;
}

interface EndingRow {
  revision: number;
  volume: number;
  body: string;
}

/** Writes the plan of every job seen. Records in untrusted runs of items do not count. */
export function decide(db: Db): void {
  const trusted = (table: string) =>
    `JOIN segment s ON s.volume = ${table}.volume AND s.segment = ${table}.segment AND s.trusted = 1`;
  const ending = db.prepare<[number], EndingRow>(
    `SELECT e.revision, e.volume, e.body FROM ending e ${trusted("e")} JOIN volume v ON v.id = e.volume
     WHERE e.job = ? ORDER BY e.revision DESC, v.created_ms DESC, v.name LIMIT 1`,
  );
  const deleted = db.prepare<[string, number], number>(
    `SELECT 1 FROM deleted d ${trusted("d")} WHERE d.uuid = ? AND d.revision >= ? LIMIT 1`,
  );
  const content = db.prepare<[number], number>(
    `SELECT 1 FROM content c ${trusted("c")} WHERE c.job = ? LIMIT 1`,
  );
  const begin = db
    .prepare<[number], string>(`SELECT b.body FROM begin b ${trusted("b")} WHERE b.job = ? LIMIT 1`)
    .pluck();
  const insert = db.prepare(
    "INSERT INTO plan(job, kind, revision, body, volume, start_ms, job_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const jobs = db.prepare<[number], { id: number; uuid: string }>(
    "SELECT id, uuid FROM job WHERE id > ? ORDER BY id LIMIT 1",
  );
  db.transaction(() => {
    for (let job = jobs.get(0); job !== undefined; job = jobs.get(job.id)) {
      const { id, uuid } = job;
      const end = ending.get(id);
      const body = end?.body ?? begin.get(id);
      // Nothing but frames: whose they are is not known.
      if (body === undefined) continue;
      let kind: JobFate = "failed";
      if (end !== undefined) kind = deleted.get(uuid, end.revision) === undefined ? "kept" : "ghost";
      else if (content.get(id) !== undefined) kind = "ghost";
      const { startMs, jobId } = JSON.parse(body) as JobBeginRecord;
      insert.run(id, kind, end?.revision ?? 0, body, end?.volume ?? null, startMs, jobId);
    }
  })();
}

/** Volumes (scratch numbers) on which frames of a job without an end are content. */
export function contentVolumes(db: Db, job: number): number[] {
  return db.prepare<[number], number>("SELECT DISTINCT volume FROM content WHERE job = ?").pluck().all(job);
}

/** Plans in the order in which the jobs began, which is the order of a catalog. */
export function* plansOf(db: Db, kinds: readonly JobFate[]): Generator<JobPlan> {
  const marks = kinds.map(() => "?").join(",");
  const order = db
    .prepare<string[], number>(`SELECT job FROM plan WHERE kind IN (${marks}) ORDER BY start_ms, job_id, job`)
    .pluck()
    .all(...kinds);
  const get = db.prepare<[number], { job: number; kind: JobFate; body: string; volume: number | null }>(
    "SELECT job, kind, body, volume FROM plan WHERE job = ?",
  );
  for (const job of order) {
    const { body, kind, volume } = get.get(job)!;
    yield { job, kind, volume, record: JSON.parse(body) as JobEndRecord };
  }
}

/** True for a plan whose record is an end record. */
export function isEnded(plan: JobPlan): plan is JobPlan & { record: JobEndRecord } {
  return Array.isArray((plan.record as Partial<JobEndRecord>).parents);
}
