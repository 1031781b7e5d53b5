/**
 * What is to be read, and in which order: batches of small files and windows of large files take turns, a large file
 * stays with one thread, and every thread gets as much as it takes.
 */
import { MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { ImageFile } from "../image/image-file.js";
import { Batch, type Pending } from "./batch.js";
import { LargeFile } from "./large-file.js";
import type { PackFlow } from "./pack-flow.js";
import { BATCH_BYTES } from "./protocol.js";
import type { PackThread, Threads } from "./threads.js";

/** A read limit. */
export interface UnitLimit {
  /** How much is read at once. */
  unitBytes: number;
  /** A unit of so many bytes has begun; counts in `paying` until it is paid for. */
  pay: (bytes: number) => void;
}

export class ReadQueue {
  readonly #threads: Threads;
  readonly #flow: PackFlow;
  readonly #send: (message: Buffer) => Promise<void>;
  #open: Batch;
  readonly #ready: Batch[] = [];
  readonly #waiting: { pending: Pending; force: boolean }[] = [];
  readonly #active = new Set<LargeFile>();
  #lastWasLarge = false;
  #nextFile = 1;
  #sequence = 0;
  /** Under a read limit each unit is paid for before the next one begins. */
  readonly #limit: UnitLimit | undefined;
  readonly #batchBytes: number;
  /** Units that are not paid for yet. */
  paying = 0;

  constructor(
    threads: Threads,
    flow: PackFlow,
    send: (message: Buffer) => Promise<void>,
    limit: UnitLimit | undefined,
  ) {
    this.#threads = threads;
    this.#flow = flow;
    this.#send = send;
    this.#limit = limit;
    this.#batchBytes = Math.min(limit?.unitBytes ?? BATCH_BYTES, BATCH_BYTES);
    this.#open = new Batch(this.#batchBytes);
  }

  /** True when the task closed a batch or is a large file: something can be started. */
  add(pending: Pending, force = false): boolean {
    if (force || pending.size > MAX_WHOLE_BYTES || pending.image?.isDevice === true || pending.isFifo) {
      this.#waiting.push({ pending, force: force || pending.isFifo });
      return true;
    }
    this.#open.add(pending);
    if (this.#open.full) this.#closeBatch();
    return this.#open.tasks.length === 0;
  }

  /** Back into a batch: what was taken for a large file is small. */
  addSmall(pending: Pending): void {
    pending.size = Math.min(pending.size, MAX_WHOLE_BYTES);
    this.add(pending);
  }

  #closeBatch(): void {
    this.#ready.push(this.#open);
    this.#open = new Batch(this.#batchBytes);
  }

  /** Closes a batch that has been open since the last tick, or at once. */
  closeOpen(atOnce: boolean): void {
    if (this.#open.tasks.length > 0 && (atOnce || ++this.#open.ticks > 1)) this.#closeBatch();
  }

  /** Nothing waits to be read. */
  get empty(): boolean {
    return this.#open.tasks.length + this.#ready.length + this.#waiting.length + this.#active.size === 0;
  }

  fileRead(file: LargeFile): void {
    this.#active.delete(file);
    file.thread.files--;
  }

  /** Starts as many reads as slots, threads and the read limit allow. */
  start(): void {
    while (this.#waiting.length > 0 && this.#active.size < this.#threads.all.length) {
      const { pending, force } = this.#waiting.shift()!;
      const thread = this.#threads.fewestFiles();
      thread.files++;
      const options = { thread, id: this.#nextFile++, force, sequence: this.#sequence++, send: this.#send };
      this.#active.add(
        pending.image === undefined ? new LargeFile(pending, options) : new ImageFile(pending, options),
      );
    }
    for (const file of this.#active)
      if (file instanceof ImageFile && file.wantsPlan) this.#flow.planImage(file);
    while (this.#threads.freeSlots > 0 && this.#mayRead() && this.#startOne());
  }

  #mayRead(): boolean {
    return this.paying === 0;
  }

  #startOne(): boolean {
    const large = this.#nextLarge();
    const thread: PackThread | undefined = this.#ready.length > 0 ? this.#threads.readerThread() : undefined;
    if (large !== undefined && (thread === undefined || !this.#lastWasLarge)) {
      const { file, reader } = large;
      // To the back of the line: every file gets its turn.
      this.#active.delete(file);
      this.#active.add(file);
      this.#lastWasLarge = true;
      if (file instanceof ImageFile) this.#flow.readImage(file, reader);
      else this.#flow.readWindow(file);
      this.#limit?.pay(this.#limit.unitBytes);
      return true;
    }
    if (thread === undefined) return false;
    this.#lastWasLarge = false;
    const batch = this.#ready.shift()!;
    this.#flow.readBatch(thread, batch);
    this.#limit?.pay(batch.bytes);
    return true;
  }

  /** A large file whose next window may be read; large files never take all slots. */
  #nextLarge(): { file: LargeFile; reader: PackThread } | undefined {
    const limit = Math.max(1, this.#threads.slotCount - this.#threads.all.length);
    if (this.#flow.largeSlots >= limit) return undefined;
    for (const file of this.#active) {
      const reader = file.readerOf(this.#threads);
      if (reader !== undefined) return { file, reader };
    }
    return undefined;
  }

  /** After the threads have ended: lets go of the directories of everything that was not opened. */
  releaseAll(): void {
    for (const batch of [this.#open, ...this.#ready]) for (const task of batch.tasks) task.release();
    for (const { pending } of this.#waiting) pending.release();
    for (const file of this.#active) file.dispose();
  }
}
