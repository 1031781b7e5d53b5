/** Figures of runs that stay when the runs themselves were pruned, and the age limit of figures and logs. */

import type { Database } from "better-sqlite3";

const COLUMNS =
  "job_id, job, name, type, level, client, pool, storage, status, sched_ms, start_ms, end_ms, files, bytes, " +
  "read_bytes, sent_bytes, stored_bytes, errors";

/** What `prune` removed. */
export interface PrunedHistory {
  figures: number;
  logLines: number;
}

export class HistoryTable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Copies the figures of runs that ended before a moment, ms, and are not there yet; how many. */
  update(endedBeforeMs: number): number {
    const sql =
      `INSERT INTO job_history (${COLUMNS}) SELECT ${COLUMNS} FROM job ` +
      "WHERE status NOT IN ('C', 'R') AND end_ms <= ? AND job_id NOT IN (SELECT job_id FROM job_history)";
    return this.#db.prepare(sql).run(endedBeforeMs).changes;
  }

  count(): number {
    return this.#db.prepare("SELECT count(*) FROM job_history").pluck().get() as number;
  }

  /** How much is older than a moment, ms. */
  expired(beforeMs: number): PrunedHistory {
    const count = (sql: string) => this.#db.prepare(sql).pluck().get(beforeMs) as number;
    return {
      figures: count("SELECT count(*) FROM job_history WHERE end_ms < ?"),
      logLines: count("SELECT count(*) FROM log WHERE time_ms < ?"),
    };
  }

  /** Removes figures and log lines from before a moment, ms. */
  prune(beforeMs: number): PrunedHistory {
    return this.#db.transaction(() => ({
      figures: this.#db.prepare("DELETE FROM job_history WHERE end_ms < ?").run(beforeMs).changes,
      logLines: this.#db.prepare("DELETE FROM log WHERE time_ms < ?").run(beforeMs).changes,
    }))();
  }
}
