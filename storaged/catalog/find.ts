/** Searching jobs' own rows for names: which jobs saved a file. */

import { BackupError, codeOf } from "../../common/errors.js";
import { baseName, keyToPath, pathToKey } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { PatternError } from "../../common/pattern/linear.js";
import { type TextMatcher, wildMatcher } from "../../common/pattern/wild.js";
import { BlockCursor } from "./block-cursor.js";
import { listedEntry } from "./listed-entry.js";
import type { FindQuery, ListedEntry } from "./listing-types.js";
import type { Lists } from "./lists.js";
import type { LocalJob } from "./types.js";

/** Rows looked at in one step. */
const STEP_ROWS = 5000;

/** A shell glob (`*`, `?`, `[a-z]`) over bytes. @throws BackupError REQUEST_INVALID for one that is too long */
function takesGlob(glob: string): TextMatcher {
  try {
    return wildMatcher(glob, { ignoreCase: false, pathname: false });
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    throw new BackupError("REQUEST_INVALID", `the pattern for names cannot be used: ${cause.message}`);
  }
}

/** Entries that match, newest jobs first, a step at a time. */
export class Finder {
  readonly #lists: Lists;
  readonly #jobs: readonly { id: LocalJob; jobId: number }[];
  readonly #query: FindQuery;
  readonly #takes: TextMatcher;
  readonly #whole: boolean;
  #at = -1;
  #cursor: BlockCursor | undefined;
  #left: number;

  /** `jobs` newest first. */
  constructor(lists: Lists, jobs: readonly { id: LocalJob; jobId: number }[], query: FindQuery) {
    this.#lists = lists;
    this.#jobs = jobs;
    this.#query = query;
    this.#takes = takesGlob(query.exact ? "" : query.pattern);
    this.#whole = query.pattern.includes("/");
    this.#left = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
  }

  /** Undefined at the end; an empty page means only that the search goes on. */
  next(): ListedEntry[] | undefined {
    if (this.#left <= 0) return undefined;
    const page: ListedEntry[] = [];
    for (let steps = 0; steps < STEP_ROWS && this.#left > 0; steps++) {
      const row = this.#row();
      if (row === undefined) {
        this.#left = 0;
        return page.length > 0 ? page : undefined;
      }
      if (row.type !== EntryType.deleted && this.#matches(row)) {
        const entry = listedEntry(row, this.#jobs[this.#at]!.jobId, false);
        page.push(this.#query.numbered ? Object.assign(entry, this.#cursor!.place()) : entry);
        this.#left--;
      }
      if (this.#query.exact) this.#cursor = undefined;
      else this.#unlessGone(() => this.#cursor!.advance());
    }
    return page;
  }

  /** A job that is deleted meanwhile has no more rows. */
  #unlessGone(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (codeOf(error) !== "NOT_FOUND") throw error;
      this.#cursor = undefined;
    }
  }

  /** The next row to look at, from the next job when one is done. */
  #row(): Row | undefined {
    while (this.#cursor?.row === undefined) {
      const job = this.#jobs[++this.#at];
      if (job === undefined) return undefined;
      const from = this.#query.exact ? pathToKey(this.#query.pattern) : "";
      this.#unlessGone(() => {
        this.#cursor = new BlockCursor(this.#lists.rows, job.id, from);
      });
    }
    return this.#cursor.row;
  }

  #matches(row: Row): boolean {
    if (this.#query.exact) return row.key === pathToKey(this.#query.pattern);
    return this.#takes(this.#whole ? keyToPath(row.key) : baseName(row.key));
  }
}
