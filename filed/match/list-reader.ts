/** One list that storaged streams in path order, a block per credit, read row by row. */
import { BackupError } from "../../common/errors.js";
import type { Row } from "../../common/format/row.js";
import { openBlock, readRow } from "../../common/format/row-block.js";
import type { ByteReader } from "../../common/format/varint.js";

/** Blocks on the way or waiting here, at most. */
export const LIST_WINDOW_BLOCKS = 4;

export class ListReader {
  /** The row it stands at; undefined while `starved` and at the end. */
  row: Row | undefined;
  readonly #onCredit: (count: number) => void;
  #reader: ByteReader | undefined;
  #rowsLeft = 0;
  #withState = false;
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

  /**
   * Moves to the next row. Rows are decoded one by one: they die young.
   * @throws GarbledInput, BackupError PROTOCOL_ERROR when the list is not in path order
   */
  next(): void {
    if (this.#rowsLeft === 0) {
      if (this.#reader?.done === false)
        throw new BackupError("PROTOCOL_ERROR", "a list block holds more than its rows");
      this.#reader = undefined;
      this.row = undefined;
      return;
    }
    const { row } = this;
    // Keys share prefixes within a block only.
    this.row = readRow(this.#reader!, row?.key ?? "", this.#withState);
    this.#rowsLeft--;
    if (this.#last !== undefined && this.row.key <= this.#last) {
      throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent a list out of path order");
    }
    this.#last = this.row.key;
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
      const { reader, rows, withState } = openBlock(block);
      this.#reader = reader;
      this.#rowsLeft = rows;
      this.#withState = withState;
      this.next();
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
