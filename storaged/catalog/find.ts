/** Searching jobs' own rows for names: which jobs saved a file. */

import { codeOf } from "../../common/errors.js";
import { baseName, keyToPath, pathToKey } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { BlockCursor } from "./block-cursor.js";
import { listedEntry } from "./listed-entry.js";
import type { FindQuery, ListedEntry } from "./listing-types.js";
import type { Lists } from "./lists.js";
import type { LocalJob } from "./types.js";

/** Rows looked at in one step. */
const STEP_ROWS = 5000;

/** A shell glob (`*`, `?`, `[a-z]`) as a regular expression over bytes; without `/` it is for the last component. */
export function globToRegExp(glob: string): RegExp {
  let out = "";
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i]!;
    const close = c === "[" ? glob.indexOf("]", i + 2) : -1;
    if (c === "*") out += "[^]*";
    else if (c === "?") out += "[^]";
    else if (close > 0) {
      const set = glob.slice(i + 1, close).replace(/[\\[\]^]/g, "\\$&");
      out += set.startsWith("!") ? `[^${set.slice(1)}]` : `[${set}]`;
      i = close;
    } else if (c === "\\" && i + 1 < glob.length) out += quote(glob[++i]!);
    else out += quote(c);
  }
  return new RegExp(`^${out}$`);
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Entries that match, newest jobs first, a step at a time. */
export class Finder {
  readonly #lists: Lists;
  readonly #jobs: readonly { id: LocalJob; jobId: number }[];
  readonly #query: FindQuery;
  readonly #pattern: RegExp;
  readonly #whole: boolean;
  #at = -1;
  #cursor: BlockCursor | undefined;
  #left: number;

  /** `jobs` newest first. */
  constructor(lists: Lists, jobs: readonly { id: LocalJob; jobId: number }[], query: FindQuery) {
    this.#lists = lists;
    this.#jobs = jobs;
    this.#query = query;
    this.#pattern = globToRegExp(query.exact ? "" : query.pattern);
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
    return this.#pattern.test(this.#whole ? keyToPath(row.key) : baseName(row.key));
  }
}
