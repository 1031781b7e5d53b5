/**
 * Rows and states leave in path order although contents are read out of order: entries whose outcome is open take a
 * slot in a bounded queue, and everything behind them waits there.
 */
import { type EntryState, EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";

/** Slots at most; the walk waits above it. It passes that many entries while a file of 100 MB is read, claimed and sent. */
export const MAX_QUEUED = 32_768;

const EMPTY = Buffer.alloc(0);

export interface Slot {
  key: string;
  ready: boolean;
  row: Row | undefined;
  state: EntryState | undefined;
}

export interface EmitterOptions {
  sendRows: (block: Buffer) => Promise<void>;
  sendState: (block: Buffer) => Promise<void>;
  /** Tells that everything up to this key has been sent. (Default: nobody wants to know) */
  sendMark?: ((key: string) => Promise<void>) | undefined;
}

export class Emitter {
  readonly #options: EmitterOptions;
  readonly #rows = new BlockWriter({ state: false });
  readonly #states = new BlockWriter({ state: true });
  /** Reused: a state row has no other field. */
  readonly #stateRow = emptyRow("", EntryType.deleted);
  #queue: Slot[] = [];
  #head = 0;
  #sending: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #lastKey: string | undefined;
  #markedKey: string | undefined;
  #waiters: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(options: EmitterOptions) {
    this.#options = options;
  }

  /** Slots not written yet. */
  get queued(): number {
    return this.#queue.length - this.#head;
  }

  /** A finished entry. */
  emit(key: string, row: Row | undefined, state: EntryState | undefined): void {
    if (this.queued === 0) this.#write(key, row, state);
    else this.#queue.push({ key, ready: true, row, state });
  }

  /** A place for an entry whose outcome is open; hand it back through `fill`. */
  reserve(key: string): Slot {
    const slot: Slot = { key, ready: false, row: undefined, state: undefined };
    this.#queue.push(slot);
    return slot;
  }

  fill(slot: Slot, row: Row | undefined, state: EntryState | undefined): void {
    slot.row = row;
    slot.state = state;
    slot.ready = true;
    if (this.#queue[this.#head] === slot) this.#drain();
  }

  /** Undefined when the walk may go on, else a promise for that. @throws what sending threw */
  room(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.queued >= MAX_QUEUED) return this.#progress();
    return this.#sending;
  }

  /** Resolves when a slot was written. */
  #progress(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Sends what is left; every slot must be filled. */
  async finish(): Promise<void> {
    if (this.queued > 0) throw new Error("entries without outcome at the end of the walk");
    if (this.#rows.rows > 0) this.#send(this.#options.sendRows, this.#rows.finish());
    if (this.#states.rows > 0) this.#send(this.#options.sendState, this.#states.finish());
    await this.sent();
  }

  /** Sends what is finished so far although blocks are not full, and a mark behind it: an interrupted job begins there. */
  mark(): void {
    const { sendMark, sendRows, sendState } = this.#options;
    const key = this.#lastKey;
    if (sendMark === undefined || key === undefined || key === this.#markedKey || this.#failure) return;
    if (this.#rows.rows > 0) this.#send(sendRows, this.#rows.finish());
    if (this.#states.rows > 0) this.#send(sendState, this.#states.finish());
    this.#markedKey = key;
    this.#send(() => sendMark(key), EMPTY);
  }

  /** Resolves when everything handed over so far was sent. @throws what sending threw */
  async sent(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Lets those go on who wait for room. */
  wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #drain(): void {
    const queue = this.#queue;
    let slot = queue[this.#head];
    while (slot?.ready) {
      this.#write(slot.key, slot.row, slot.state);
      slot = queue[++this.#head];
    }
    if (this.#head === queue.length || this.#head > 4096) {
      this.#queue = queue.slice(this.#head);
      this.#head = 0;
    }
    this.wake();
  }

  #write(key: string, row: Row | undefined, state: EntryState | undefined): void {
    if (row !== undefined) {
      this.#rows.add(row);
      if (this.#rows.full) this.#send(this.#options.sendRows, this.#rows.finish());
    }
    this.#lastKey = key;
    if (state !== undefined && state.inode !== 0) {
      this.#stateRow.key = key;
      this.#stateRow.state = state;
      this.#states.add(this.#stateRow);
      if (this.#states.full) this.#send(this.#options.sendState, this.#states.finish());
    }
  }

  #send(send: (block: Buffer) => Promise<void>, block: Buffer): void {
    const before = this.#sending ?? Promise.resolve();
    const sending = before
      .then(() => send(block))
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }
}
