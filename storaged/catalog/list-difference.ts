/**
 * The rows that turn one list into another: what must lie over `lower` so that the overlay of both is `upper`. Both
 * are read once, in path order, in bounded steps; memory is one block per layer.
 */

import { EntryType, emptyRow, type Row, RowFlag, sameRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { behindSubtree, type RowCursor } from "./overlay.js";

/** Rows looked at in one step of DifferenceBlocks. */
const STEP_ROWS = 20_000;

/**
 * The next row of the difference on every call of `next`. A path that only `lower` has is deleted with all that lies
 * below it in one row. Rows of the result are `upper`'s own: not copied.
 */
export class ListDifference {
  readonly #upper: RowCursor;
  readonly #lower: RowCursor;
  /** Paths looked at so far in either list. */
  looked = 0;

  constructor(upper: RowCursor, lower: RowCursor) {
    this.#upper = upper;
    this.#lower = lower;
  }

  /** True when nothing is left of either list. */
  get done(): boolean {
    return this.#upper.row === undefined && this.#lower.row === undefined;
  }

  /** Looks at one path: a row where the lists differ there. */
  step(): Row | undefined {
    const above = this.#upper.row;
    const below = this.#lower.row;
    if (above === undefined && below === undefined) return undefined;
    this.looked++;
    if (above === undefined || (below !== undefined && below.key < above.key)) {
      const { key } = below!;
      this.#lower.seek(behindSubtree(key));
      return emptyRow(key, EntryType.deleted);
    }
    const equal = below !== undefined && below.key === above.key && sameRow(above, below);
    this.#upper.advance();
    if (below !== undefined && below.key === above.key) this.#lower.advance();
    // What is no directory hides all that lies below its path in lower lists.
    if (above.type !== EntryType.directory) this.#hide(above.key);
    return equal ? undefined : above;
  }

  #hide(key: string): void {
    const { row } = this.#lower;
    const behind = behindSubtree(key);
    if (row !== undefined && row.key > key && row.key < behind) this.#lower.seek(behind);
  }
}

/**
 * The difference as list blocks, ready to be stored. `next` does a bounded piece of work: an empty buffer says that
 * no block is full yet.
 */
export class DifferenceBlocks {
  readonly #difference: ListDifference;
  readonly #writer = new BlockWriter({ state: false });

  constructor(upper: RowCursor, lower: RowCursor) {
    this.#difference = new ListDifference(upper, lower);
  }

  /** Undefined at the end. */
  next(): Buffer | undefined {
    const until = this.#difference.looked + STEP_ROWS;
    while (!this.#difference.done) {
      const row = this.#difference.step();
      if (row !== undefined) this.#writer.add(plain(row));
      if (this.#writer.full) return this.#writer.finish();
      if (this.#difference.looked >= until) return Buffer.alloc(0);
    }
    return this.#writer.rows > 0 ? this.#writer.finish() : undefined;
  }
}

/** Damage belongs to stored content, not to the entry: it is no part of a list. */
function plain(row: Row): Row {
  return (row.flags & RowFlag.damaged) === 0 ? row : { ...row, flags: row.flags & ~RowFlag.damaged };
}
