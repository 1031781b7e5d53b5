/** Counts and messages of one backup. */
import { type BackupTotals, type JobMessage, NO_TOTALS } from "../../proto/data/backup.js";

export type Report = (type: JobMessage["type"], text: string) => void;

/** Messages of one type that are sent one by one; the rest is counted. */
const MAX_MESSAGES = 2000;

export class Tally {
  readonly totals: BackupTotals = { ...NO_TOTALS };
  readonly #send: Report;
  readonly #counts = new Map<JobMessage["type"], number>();

  constructor(send: Report) {
    this.#send = send;
  }

  /** Counts what makes the job end with warnings, and passes it on. */
  readonly report: Report = (type, text) => {
    if (type === "notsaved" || type === "error") this.totals.errors++;
    else if (type === "warning") this.totals.warnings++;
    const count = (this.#counts.get(type) ?? 0) + 1;
    this.#counts.set(type, count);
    if (count <= MAX_MESSAGES) this.#send(type, text);
  };

  /** Tells how many messages were held back. */
  finish(): void {
    for (const [type, count] of this.#counts) {
      if (count > MAX_MESSAGES)
        this.#send(type, `${count - MAX_MESSAGES} more messages of this kind are left out`);
    }
  }
}
