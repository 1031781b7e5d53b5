/** What became of the entries of one message, as the worker tells it. */
import { describeError } from "../../common/errors.js";
import { displayPath, isWithin, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { Skipped } from "./install.js";
import { isFatal } from "./metadata.js";
import { emptyReport, type Tally, type UnitReport } from "./protocol.js";

/** What an entry's action says: made and counted, or neither made nor failed (told elsewhere). */
export type Outcome = "made" | "untold";

/** The client's own configuration forbids restores to this place. */
class Outside extends Error {
  constructor() {
    super("not below a directory in which this client allows restores (RestoreRoots of its configuration)");
  }
}

export class Reporter {
  readonly #where: string;
  readonly #reportFiles: boolean;
  readonly #allowed: readonly string[] | undefined;
  #report = emptyReport();
  #current = "";
  #last: string | undefined;

  constructor(options: { where: string; reportFiles: boolean; allowed: readonly string[] | undefined }) {
    this.#where = options.where;
    this.#reportFiles = options.reportFiles;
    this.#allowed = options.allowed;
  }

  /** The report so far; a new one begins. */
  take(): UnitReport {
    const report = this.#report;
    if (this.#last !== undefined) report.path = this.#path(this.#last);
    this.#last = undefined;
    this.#report = emptyReport();
    return report;
  }

  /** Runs the action for one entry. @throws what makes going on useless (no space) */
  entry(row: Row, action: () => Outcome): void {
    this.#current = row.key;
    try {
      this.checkAllowed(row.key);
      if (action() === "made") this.#made(row);
    } catch (error) {
      if (isFatal(error)) throw error;
      if (error instanceof Skipped) this.#report.skipped.push(`${error.message}: ${this.#path(row.key)}`);
      else if (!(error instanceof Outside && this.#onTheWay(row))) this.#failed(row, describeError(error));
    }
  }

  /** Runs the action for some pieces of a file that is reported when it is finished; false when they are bad. */
  pieces(row: Row, action: () => void): boolean {
    this.#current = row.key;
    try {
      this.checkAllowed(row.key);
      action();
      return true;
    } catch (error) {
      if (isFatal(error)) throw error;
      // Skipped, or refused: `finish` finds the same and tells it.
      if (error instanceof Skipped || error instanceof Outside) return true;
      this.#report.errors.push(`${this.#path(row.key)}: ${describeError(error)}`);
      this.#report.badKeys.push(row.key);
      return false;
    }
  }

  readonly count = (tally: Tally, reason: string): void => {
    const entry = this.#report.tallies[tally];
    if (entry !== undefined) entry.count++;
    else this.#report.tallies[tally] = { count: 1, example: `${this.#path(this.#current)}: ${reason}` };
  };

  /** @throws Outside */
  checkAllowed(key: string): void {
    if (this.#allowed !== undefined && !this.#allowed.some((top) => isWithin(top, key))) throw new Outside();
  }

  /** Directories that lead to an allowed one are no entries of their own. */
  #onTheWay(row: Row): boolean {
    return row.type === EntryType.directory && this.#allowed!.some((top) => isWithin(row.key, top));
  }

  #made(row: Row): void {
    const report = this.#report;
    report.files++;
    if (row.type === EntryType.file) report.bytes += row.size;
    this.#last = row.key;
    if (this.#reportFiles) report.restored.push(this.#path(row.key));
  }

  #failed(row: Row, text: string): void {
    this.#report.failed++;
    this.#report.errors.push(`${this.#path(row.key)}: ${text}`);
  }

  #path(key: string): string {
    return displayPath(`${this.#where}${keyToPath(key)}`);
  }
}
