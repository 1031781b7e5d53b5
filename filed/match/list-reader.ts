/** One list that storaged streams in path order, a block per credit, read row by row. */
import { BackupError } from "../../common/errors.js";
import { decodeBlock, type Row } from "../../common/format/row.js";

/** Blocks on the way or waiting here, at most. */
export const LIST_WINDOW_BLOCKS = 4;

const NO_ROWS: readonly Row[] = [];

export class ListReader {
  /** The row it stands at; undefined while `starved` and at the end. */
  row: Row | undefined;
  readonly #onCredit: (count: number) => void;
  #rows = NO_ROWS;
  #at = 0;
  readonly #blocks: Buffer[] = [];
  #complete = false;
  #failure: { error: unknown } | undefined;
  #waiter: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #last: string | undefined;

  /** `onCredit` tells storaged that so many more blocks may come; call `open` once to begin. */
  constructor(onCredit: (count: number) => void) {
    this.#onCredit = onCredit;
  }

  open(): void {
    this.#onCredit(LIST_WINDOW_BLOCKS);
  }

  /** True when the next row has not arrived yet. */
  get starved(): boolean {
    return this.row === undefined && !(this.#complete && this.#blocks.length === 0);
  }

  /** A block from storaged. @throws BackupError PROTOCOL_ERROR when it was not asked for. */
  push(block: Buffer): void {
    if (this.#complete || this.#blocks.length >= LIST_WINDOW_BLOCKS) {
      throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent a list block that was not asked for");
    }
    this.#blocks.push(block);
    this.#wake();
  }

  /** No more blocks. */
  end(): void {
    this.#complete = true;
    this.#wake();
  }

  /** Makes waiting fail, now and later. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#waiter?.reject(error);
    this.#waiter = undefined;
  }

  /** Moves to the next row. */
  next(): void {
    this.row = this.#rows[++this.#at];
  }

  /**
   * Makes the next row available if its block is here; false while `starved`.
   * @throws GarbledInput, BackupError PROTOCOL_ERROR when the list is not in path order
   */
  fill(): boolean {
    while (this.row === undefined) {
      const block = this.#blocks.shift();
      if (block === undefined) return this.#complete;
      if (!this.#complete) this.#onCredit(1);
      this.#rows = decodeBlock(block);
      this.#at = 0;
      this.row = this.#rows[0];
      if (this.row === undefined) continue;
      if (this.#last !== undefined && this.row.key <= this.#last) {
        throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent a list out of path order");
      }
      this.#last = this.#rows.at(-1)!.key;
    }
    return true;
  }

  /** Resolves when a block or the end has come. @throws what `fail` was given */
  arrival(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#blocks.length > 0 || this.#complete) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #wake(): void {
    this.#waiter?.resolve();
    this.#waiter = undefined;
  }
}
