/**
 * The director's own database: runs, logs, unread messages, counters. WAL with synchronous=FULL: what a call has
 * changed is on disk when it returns. File lists and volumes are the storage daemons' business.
 */

import { chmodSync } from "node:fs";
import { join } from "node:path";
import Sqlite, { type Database } from "better-sqlite3";
import { BackupError, describeError } from "../../common/errors.js";
import { HistoryTable } from "./history.js";
import { JobTable } from "./jobs.js";
import { ConsoleBox, LogTable } from "./messages.js";
import { migrate } from "./migrate.js";
import { OutboxTable } from "./outbox.js";

/** Where a director keeps its database. */
export const databaseFile = (workingDirectory: string): string => join(workingDirectory, "director.db");

export class DirectorDb {
  readonly jobs: JobTable;
  readonly log: LogTable;
  readonly box: ConsoleBox;
  readonly history: HistoryTable;
  readonly outbox: OutboxTable;
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
    this.jobs = new JobTable(db);
    this.log = new LogTable(db);
    this.box = new ConsoleBox(db);
    this.history = new HistoryTable(db);
    this.outbox = new OutboxTable(db);
  }

  /**
   * Opens or creates the file (`:memory:` for tests); close it with `close`.
   * @throws BackupError DATABASE_OPEN, DATABASE_NEWER
   */
  static open(file: string): DirectorDb {
    let db: Database | undefined;
    try {
      db = new Sqlite(file);
      if (file !== ":memory:") chmodSync(file, 0o600);
      db.pragma("journal_mode = WAL");
      db.pragma("synchronous = FULL");
      db.pragma("busy_timeout = 5000");
      migrate(db);
      return new DirectorDb(db);
    } catch (cause) {
      db?.close();
      if (cause instanceof BackupError) throw cause;
      const message = `cannot open the director's database ${file}: ${describeError(cause)}`;
      throw new BackupError("DATABASE_OPEN", message, { cause });
    }
  }

  /** Runs `work` as one transaction: all of it is kept, or nothing. */
  transaction<T>(work: () => T): T {
    return this.#db.transaction(work)();
  }

  /** Value of a counter, 0 when it was never set. */
  counter(name: string): number {
    const row = this.#db.prepare("SELECT value FROM counter WHERE name = ?").get(name);
    return (row as { value: number } | undefined)?.value ?? 0;
  }

  setCounter(name: string, value: number): void {
    const sql =
      "INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    this.#db.prepare(sql).run(name, value);
  }

  close(): void {
    this.#db.close();
  }
}
