/**
 * One list that storaged streams in path order, a block per credit, read row by row. So many blocks may be on the way that
 * a long line does not hold the walk up, while what they take here stays bounded.
 */
import { BackupError } from "../../common/errors.js";
import type { Row } from "../../common/format/row.js";
import { openBlock, readRow } from "../../common/format/row-block.js";
import type { ByteReader } from "../../common/format/varint.js";
import { FREE_BLOCKS } from "../../proto/data/backup.js";

/** Blocks on the way or waiting here: before the first has come, and at most. */
export const FIRST_BLOCKS = FREE_BLOCKS;
export const MAX_BLOCKS = 32;
/** What all of them may take, as large as the largest that came. */
const WINDOW_BYTES = 2 * 1024 * 1024;

export class ListReader {
  /** The row it stands at; undefined while `starved` and at the end. */
  row: Row | undefined;
  readonly #onCredit: (count: number) => void;
  #reader: ByteReader | undefined;
  #rowsLeft = 0;
  #withState = false;
  readonly #blocks: Buffer[] = [];
  /** Blocks that may still come. */
  #due = 0;
  #window = FIRST_BLOCKS;
  #largest = 1;
  #complete = false;
  #failure: { error: unknown } | undefined;
  #waiter: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #last: string | undefined;

  /**
   * `onCredit` tells storaged that so many more blocks may come; call `open` once to begin, unless the first blocks are
   * `free`: they come without being asked for.
   */
  constructor(onCredit: (count: number) => void, { free = false } = {}) {
    this.#onCredit = onCredit;
    if (free) this.#due = FIRST_BLOCKS;
  }

  open(): void {
    this.#grant();
  }

  /** Credits go a few at a time: each is a message. */
  #grant(): void {
    const count = this.#window - this.#due - this.#blocks.length;
    if (this.#complete || count < this.#window / 4) return;
    this.#due += count;
    this.#onCredit(count);
  }

  /** True when the next row has not arrived yet. */
  get starved(): boolean {
    return this.row === undefined && !(this.#complete && this.#blocks.length === 0);
  }

  /** Nothing more will come. */
  get complete(): boolean {
    return this.#complete;
  }

  /** A block from storaged. @throws BackupError PROTOCOL_ERROR when it was not asked for. */
  push(block: Buffer): void {
    if (this.#complete || this.#due === 0) {
      throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent a list block that was not asked for");
    }
    this.#due--;
    this.#blocks.push(block);
    this.#largest = Math.max(this.#largest, block.length);
    const fitting = Math.floor(WINDOW_BYTES / this.#largest);
    this.#window = Math.min(Math.max(fitting, FIRST_BLOCKS), MAX_BLOCKS);
    this.#grant();
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
      this.#grant();
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
