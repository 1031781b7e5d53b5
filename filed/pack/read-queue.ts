/**
 * What is to be read, and in which order: batches of small files and windows of large files take turns, a large file
 * stays with one thread, and every thread gets as much as it takes.
 */
import { MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { Batch, type Pending } from "./batch.js";
import { LargeFile } from "./large-file.js";
import type { PackFlow } from "./pack-flow.js";
import type { PackThread, Threads } from "./threads.js";

export class ReadQueue {
  readonly #threads: Threads;
  readonly #flow: PackFlow;
  readonly #send: (message: Buffer) => Promise<void>;
  #open = new Batch();
  readonly #ready: Batch[] = [];
  readonly #waiting: { pending: Pending; force: boolean }[] = [];
  readonly #active = new Set<LargeFile>();
  #lastWasLarge = false;
  #nextFile = 1;
  #sequence = 0;
  /** Under a read limit one unit at a time is read, and paid for before the next. */
  readonly #limited: boolean;
  paying = false;

  constructor(threads: Threads, flow: PackFlow, send: (message: Buffer) => Promise<void>, limited: boolean) {
    this.#threads = threads;
    this.#flow = flow;
    this.#send = send;
    this.#limited = limited;
  }

  /** True when the task closed a batch or is a large file: something can be started. */
  add(pending: Pending, force = false): boolean {
    if (force || pending.size > MAX_WHOLE_BYTES) {
      this.#waiting.push({ pending, force });
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
    this.#open = new Batch();
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
      this.#active.add(new LargeFile(pending, options));
    }
    while (this.#threads.freeSlots > 0 && this.#mayRead() && this.#startOne());
  }

  #mayRead(): boolean {
    return !this.#limited || (this.#flow.reading === 0 && !this.paying);
  }

  #startOne(): boolean {
    const file = this.#nextLarge();
    const thread: PackThread | undefined = this.#ready.length > 0 ? this.#threads.readerThread() : undefined;
    if (file !== undefined && (thread === undefined || !this.#lastWasLarge)) {
      // To the back of the line: every file gets its turn.
      this.#active.delete(file);
      this.#active.add(file);
      this.#lastWasLarge = true;
      this.#flow.readWindow(file);
      return true;
    }
    if (thread === undefined) return false;
    this.#lastWasLarge = false;
    this.#flow.readBatch(thread, this.#ready.shift()!);
    return true;
  }

  /** A large file whose next window may be read; large files never take all slots. */
  #nextLarge(): LargeFile | undefined {
    const limit = Math.max(1, this.#threads.slotCount - this.#threads.all.length);
    if (this.#flow.largeSlots >= limit) return undefined;
    for (const file of this.#active) {
      if (!file.reading && !file.ended && this.#threads.takesRead(file.thread)) return file;
    }
    return undefined;
  }

  /** After the threads have ended: lets go of the directories of everything that was not opened. */
  releaseAll(): void {
    for (const batch of [this.#open, ...this.#ready]) for (const task of batch.tasks) task.release();
    for (const { pending } of this.#waiting) pending.release();
    for (const file of this.#active) if (!file.opened) file.pending.release();
  }
}
