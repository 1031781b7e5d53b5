/** The table of runs. */

import type { Database, Statement } from "better-sqlite3";
import { nowMs } from "../../common/time.js";
import type { JobId } from "../job/request.js";
import type { JobFilter, JobRecord } from "./records.js";

type Field = keyof JobRecord;
type Value = string | number;
type Row = Record<string, Value>;

const COLUMNS: Readonly<Record<Field, string>> = {
  jobId: "job_id",
  uuid: "uuid",
  job: "job",
  name: "name",
  type: "type",
  level: "level",
  client: "client",
  fileSet: "file_set",
  pool: "pool",
  storage: "storage",
  status: "status",
  priority: "priority",
  schedMs: "sched_ms",
  startMs: "start_ms",
  endMs: "end_ms",
  files: "files",
  bytes: "bytes",
  readBytes: "read_bytes",
  sentBytes: "sent_bytes",
  storedBytes: "stored_bytes",
  errors: "errors",
  warnings: "warnings",
  priorJobId: "prior_job_id",
  baseJobIds: "base_job_ids",
  baseFiles: "base_files",
  baseBytes: "base_bytes",
  usedFiles: "used_files",
  volumes: "volumes",
  volSessionId: "vol_session_id",
  volSessionTime: "vol_session_time",
  comment: "comment",
  report: "report",
  reason: "reason",
  purgedFiles: "purged_files",
  request: "request",
};
const FIELDS = Object.keys(COLUMNS) as Field[];
const JSON_FIELDS: ReadonlySet<Field> = new Set<Field>(["baseJobIds", "volumes"]);
const DAY_MS = 86_400_000;

/** What a run is recorded with when it is queued; everything else starts at its zero. */
export type NewJob = Pick<
  JobRecord,
  | "uuid"
  | "name"
  | "type"
  | "level"
  | "client"
  | "fileSet"
  | "pool"
  | "storage"
  | "priority"
  | "schedMs"
  | "comment"
  | "request"
>;

function toValue(field: Field, value: unknown): Value {
  return JSON_FIELDS.has(field) ? JSON.stringify(value) : (value as Value);
}

function toRecord(row: Row): JobRecord {
  const record: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const value = row[COLUMNS[field]]!;
    record[field] = JSON_FIELDS.has(field) ? JSON.parse(value as string) : value;
  }
  return record as unknown as JobRecord;
}

export class JobTable {
  readonly #db: Database;
  readonly #get: Statement;
  readonly #counter: Statement;

  constructor(db: Database) {
    this.#db = db;
    this.#get = db.prepare("SELECT * FROM job WHERE job_id = ?");
    this.#counter = db.prepare(
      "INSERT INTO counter (name, value) VALUES ('job_id', 1) " +
        "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    );
  }

  /** Whether any JobId was ever handed out, or their start was settled by `startAfter`. */
  get started(): boolean {
    return this.#db.prepare("SELECT 1 FROM counter WHERE name = 'job_id'").get() !== undefined;
  }

  /** The next JobId will be above `highest`. */
  startAfter(highest: JobId): void {
    this.#db
      .prepare(
        "INSERT INTO counter (name, value) VALUES ('job_id', ?) " +
          "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
      )
      .run(highest);
  }

  /** Records a run in status C under the next JobId; `jobName` makes its unique name and may be called again. */
  create(job: NewJob, jobName: (attempt: number) => string): JobRecord {
    return this.#db.transaction(() => {
      const taken = this.#db.prepare("SELECT 1 FROM job WHERE job = ?");
      let name = jobName(0);
      for (let attempt = 1; taken.get(name) !== undefined; attempt++) name = jobName(attempt);
      const jobId = (this.#counter.get() as { value: number }).value;
      const values: Partial<JobRecord> = { ...job, jobId, job: name, status: "C" };
      const fields = Object.keys(values) as Field[];
      const columns = fields.map((field) => COLUMNS[field]).join(", ");
      const marks = fields.map(() => "?").join(", ");
      this.#db
        .prepare(`INSERT INTO job (${columns}) VALUES (${marks})`)
        .run(...fields.map((field) => toValue(field, values[field])));
      return this.get(jobId)!;
    })();
  }

  /** Puts a run down that is known from elsewhere; one with its JobId or unique name stays as it is. */
  restore(record: JobRecord): void {
    const columns = FIELDS.map((field) => COLUMNS[field]).join(", ");
    const marks = FIELDS.map(() => "?").join(", ");
    this.#db
      .prepare(`INSERT OR IGNORE INTO job (${columns}) VALUES (${marks})`)
      .run(...FIELDS.map((field) => toValue(field, record[field])));
  }

  /** Changes the given fields of a run. */
  update(jobId: JobId, changes: Partial<JobRecord>): void {
    const fields = (Object.keys(changes) as Field[]).filter((field) => changes[field] !== undefined);
    if (fields.length === 0) return;
    const assignments = fields.map((field) => `${COLUMNS[field]} = ?`).join(", ");
    this.#db
      .prepare(`UPDATE job SET ${assignments} WHERE job_id = ?`)
      .run(...fields.map((field) => toValue(field, changes[field])), jobId);
  }

  get(jobId: JobId): JobRecord | undefined {
    const row = this.#get.get(jobId) as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  byUuid(uuid: string): JobRecord | undefined {
    const row = this.#db.prepare("SELECT * FROM job WHERE uuid = ?").get(uuid) as Row | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  /** Runs that fit; a `limit` takes them from the front of the order. */
  list(filter: JobFilter = {}): JobRecord[] {
    const { where, values } = conditions(filter);
    const direction = filter.order === "desc" ? "DESC" : "ASC";
    const limit = filter.limit === undefined ? "" : ` LIMIT ${Math.max(0, Math.trunc(filter.limit))}`;
    const sql = `SELECT * FROM job${where} ORDER BY start_ms ${direction}, job_id ${direction}${limit}`;
    return (this.#db.prepare(sql).all(...values) as Row[]).map(toRecord);
  }

  count(filter: JobFilter = {}): number {
    const { where, values } = conditions(filter);
    return (this.#db.prepare(`SELECT count(*) AS n FROM job${where}`).get(...values) as { n: number }).n;
  }

  /** The runs that ended last, newest first. */
  terminated(limit: number): JobRecord[] {
    const sql = "SELECT * FROM job WHERE status NOT IN ('C', 'R') ORDER BY end_ms DESC, job_id DESC LIMIT ?";
    return (this.#db.prepare(sql).all(limit) as Row[]).map(toRecord);
  }

  /** Removes ended runs and their logs; how many there were. Those that wait or run stay. */
  remove(jobIds: readonly JobId[]): number {
    const chosen =
      "SELECT job_id FROM job WHERE status NOT IN ('C', 'R') AND job_id IN (SELECT value FROM json_each(?))";
    const list = JSON.stringify(jobIds);
    return this.#db.transaction(() => {
      this.#db.prepare(PROMOTE_COPIES.replace("CHOSEN", chosen)).run(list);
      this.#db.prepare(`DELETE FROM log WHERE job_id IN (${chosen})`).run(list);
      return this.#db.prepare(`DELETE FROM job WHERE job_id IN (${chosen})`).run(list).changes;
    })();
  }

  /** Marks runs as recorded without their file lists. */
  markFilesPurged(jobIds: readonly JobId[]): void {
    const sql = "UPDATE job SET purged_files = 1 WHERE job_id IN (SELECT value FROM json_each(?))";
    this.#db.prepare(sql).run(JSON.stringify(jobIds));
  }
}

/** The newest copy of a backup that goes takes its place, as in the storage daemon's catalog. */
const PROMOTE_COPIES = `UPDATE job SET type = 'B' WHERE type = 'C' AND job_id IN
  (SELECT max(c.job_id) FROM job c JOIN job o ON c.prior_job_id = o.job_id
   WHERE c.type = 'C' AND c.status IN ('T', 'W') AND o.type = 'B' AND o.job_id IN (CHOSEN) GROUP BY o.job_id)`;

function conditions(filter: JobFilter): { where: string; values: Value[] } {
  const terms: string[] = [];
  const values: Value[] = [];
  const equal = (column: string, value: Value | undefined): void => {
    if (value === undefined) return;
    terms.push(`${column} = ?`);
    values.push(value);
  };
  const among = (column: string, list: readonly Value[] | undefined): void => {
    if (list === undefined) return;
    terms.push(`${column} IN (SELECT value FROM json_each(?))`);
    values.push(JSON.stringify(list));
  };
  among("job_id", filter.jobIds);
  among("status", filter.status);
  equal("job", filter.job);
  equal("name", filter.name);
  equal("client", filter.client);
  equal("file_set", filter.fileSet);
  equal("pool", filter.pool);
  equal("storage", filter.storage);
  equal("level", filter.level);
  equal("type", filter.type);
  if (filter.withErrors === true) terms.push("(errors > 0 OR status IN ('E', 'f'))");
  if (filter.ended === true) terms.push("status NOT IN ('C', 'R')");
  if (filter.days !== undefined) {
    terms.push("sched_ms >= ?");
    values.push(nowMs() - filter.days * DAY_MS);
  }
  if (filter.endedBeforeMs !== undefined) {
    terms.push("end_ms < ? AND status NOT IN ('C', 'R')");
    values.push(filter.endedBeforeMs);
  }
  if (filter.beforeMs !== undefined) {
    terms.push("start_ms < ? AND start_ms > 0");
    values.push(filter.beforeMs);
  }
  return { where: terms.length === 0 ? "" : ` WHERE ${terms.join(" AND ")}`, values };
}
