/** Logs of jobs, and messages that consoles have not read yet. */

import type { Database, Statement } from "better-sqlite3";
import type { JobId } from "../job/request.js";
import type { LogRecord } from "./records.js";

/** Messages kept for consoles that never read; older ones go. */
const MAX_CONSOLE_MESSAGES = 100_000;

export class LogTable {
  readonly #insert: Statement;
  readonly #list: Statement;

  constructor(db: Database) {
    this.#insert = db.prepare("INSERT INTO log (job_id, time_ms, text) VALUES (?, ?, ?)");
    this.#list = db.prepare(
      "SELECT job_id AS jobId, time_ms AS timeMs, text FROM log WHERE job_id = ? ORDER BY log_id",
    );
  }

  add(record: LogRecord): void {
    this.#insert.run(record.jobId, record.timeMs, record.text);
  }

  /** Messages of a job in the order in which they came; JobId 0: those of no job. */
  list(jobId: JobId): LogRecord[] {
    return this.#list.all(jobId) as LogRecord[];
  }
}

/** A message for consoles; `name` is the Job resource it belongs to, "" for none. */
export interface BoxMessage {
  name: string;
  text: string;
}

export class ConsoleBox {
  readonly #db: Database;
  readonly #insert: Statement;
  readonly #readTo: Statement;
  readonly #count: Statement;
  readonly #countByName: Statement;
  readonly #take: Statement;
  readonly #mark: Statement;

  constructor(db: Database) {
    this.#db = db;
    this.#insert = db.prepare("INSERT INTO console_message (name, text) VALUES (?, ?)");
    this.#readTo = db.prepare("SELECT read_to FROM console_reader WHERE console = ?").pluck();
    this.#count = db.prepare("SELECT count(*) FROM console_message WHERE id > ?").pluck();
    this.#countByName = db.prepare(
      "SELECT name, count(*) AS count FROM console_message WHERE id > ? GROUP BY name",
    );
    this.#take = db.prepare("SELECT id, name, text FROM console_message WHERE id > ? ORDER BY id LIMIT ?");
    this.#mark = db.prepare(
      "INSERT INTO console_reader (console, read_to) VALUES (?, ?) " +
        "ON CONFLICT (console) DO UPDATE SET read_to = excluded.read_to",
    );
  }

  add(message: BoxMessage): void {
    this.#insert.run(message.name, message.text);
  }

  /** How many messages this console has not read, of jobs that `allowed` lets pass. */
  pending(console: string, allowed?: (name: string) => boolean): number {
    const from = this.#position(console);
    if (allowed === undefined) return this.#count.get(from) as number;
    const byName = this.#countByName.all(from) as { name: string; count: number }[];
    return byName.reduce((sum, { name, count }) => sum + (allowed(name) ? count : 0), 0);
  }

  /** The oldest unread ones, at most `limit`; from now on this console has read them. */
  take(console: string, limit: number): BoxMessage[] {
    return this.#db.transaction(() => {
      const rows = this.#take.all(this.#position(console), limit) as (BoxMessage & { id: number })[];
      if (rows.length > 0) this.#mark.run(console, rows[rows.length - 1]!.id);
      return rows;
    })();
  }

  /** Removes what every known console has read, and the oldest beyond the limit. */
  tidy(): void {
    const read = "(SELECT min(read_to) FROM console_reader)";
    const excess = `(SELECT max(id) - ${MAX_CONSOLE_MESSAGES} FROM console_message)`;
    this.#db.prepare(`DELETE FROM console_message WHERE id <= ${read} OR id <= ${excess}`).run();
  }

  #position(console: string): number {
    return (this.#readTo.get(console) as number | undefined) ?? 0;
  }
}
