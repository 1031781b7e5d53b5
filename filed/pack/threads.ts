/** The worker threads of one pool, their slots, and what each of them has to do. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { DIRECT_BYTES } from "../image/aligned.js";
import { endWorker } from "../sys/end-worker.js";
import { FRAME_SLOT_BYTES } from "./framer.js";
import {
  CLAIM_SLOTS,
  FRAMES_PER_WORKER,
  type FromWorker,
  type PackJob,
  SLOT_BYTES,
  SLOTS_PER_WORKER,
  type ToWorker,
  type WorkerData,
} from "./protocol.js";

/** Little garbage is made per unit; the default would let each thread pile up tens of megabytes of it. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

/** Read units waiting at one worker: one in work, one behind it. */
const READS_PER_WORKER = 2;

export interface PackThread {
  readonly worker: Worker;
  /** Its finished frames, until they were sent. */
  readonly frames: readonly Buffer[];
  /** Read units posted and not answered. */
  reads: number;
  /** Bytes of all units posted and not answered, packing counted as the heavier part. */
  load: number;
  /** Large files whose reader lives in this thread. */
  files: number;
  /** Frames that lie in `frames`. */
  unsent: number;
  /** A frame has begun there; the number of ticks that it has been so. */
  open: boolean;
  openTicks: number;
}

/** Two or more, as the machine has: more would wait for each other. */
export function defaultWorkers(): number {
  return Math.min(Math.max(availableParallelism(), 2), 4);
}

/** Who hears of the threads. */
export interface ThreadsUser {
  onMessage: (thread: PackThread, message: FromWorker) => void;
  onError: (error: Error) => void;
}

export class Threads {
  readonly all: PackThread[] = [];
  readonly slotCount: number;
  readonly #slots: SharedArrayBuffer[];
  readonly #free: number[];
  #user: ThreadsUser | undefined;
  /** The job changed them for good. */
  #spoilt = false;

  constructor(count: number) {
    this.slotCount = count * SLOTS_PER_WORKER + CLAIM_SLOTS;
    this.#slots = Array.from(
      { length: this.slotCount },
      () => new SharedArrayBuffer(SLOT_BYTES + DIRECT_BYTES),
    );
    this.#free = this.#slots.map((_, index) => index);
    for (let i = 0; i < count; i++) {
      const frames = Array.from({ length: FRAMES_PER_WORKER }, () => new SharedArrayBuffer(FRAME_SLOT_BYTES));
      const workerData: WorkerData = { slots: this.#slots, frames };
      const worker = new Worker(new URL("./pack-worker.js", import.meta.url), { workerData, resourceLimits });
      const idle = { reads: 0, load: 0, files: 0, unsent: 0, open: false, openTicks: 0 };
      const thread: PackThread = { worker, frames: frames.map((slot) => Buffer.from(slot)), ...idle };
      worker.on("message", (message: FromWorker) => this.#user?.onMessage(thread, message));
      worker.on("error", (error) => this.#lost(error));
      worker.on("exit", (status) => this.#lost(new Error(`a pack thread ended by itself (${status})`)));
      this.all.push(thread);
    }
  }

  #lost(error: Error): void {
    this.#spoilt = true;
    this.#user?.onError(error);
  }

  /** Works for this job from now on. */
  begin(job: PackJob, user: ThreadsUser): void {
    this.#user = user;
    // An ordinary user cannot take a lower priority back.
    if (job.nice !== 0 || job.ioNice !== "") this.#spoilt = true;
    for (const thread of this.all) {
      thread.worker.ref();
      this.post(thread, { kind: "begin", job });
    }
  }

  /** True when nothing of a job is left in them, so that they can work for another one. */
  get isReusable(): boolean {
    const isIdle = ({ reads, load, files, unsent, open }: PackThread): boolean =>
      reads === 0 && load === 0 && files === 0 && unsent === 0 && !open;
    return !this.#spoilt && this.freeSlots === this.slotCount && this.all.every(isIdle);
  }

  /** Nobody hears of them until the next `begin`, and they keep no process alive. */
  rest(): void {
    this.#user = undefined;
    for (const { worker } of this.all) worker.unref();
  }

  get freeSlots(): number {
    return this.#free.length;
  }

  takeSlot(): number {
    return this.#free.pop()!;
  }

  returnSlot(slot: number): void {
    this.#free.push(slot);
  }

  post(thread: PackThread, message: ToWorker): void {
    thread.worker.postMessage(message);
  }

  /** Makes the thread emit the frame that it has begun. */
  flush(thread: PackThread): void {
    thread.open = false;
    thread.openTicks = 0;
    this.post(thread, { kind: "flush" });
  }

  /** The thread with the least to do that takes another read unit; undefined when none does. */
  readerThread(): PackThread | undefined {
    let best: PackThread | undefined;
    for (const thread of this.all) {
      if (thread.reads < READS_PER_WORKER && (best === undefined || thread.load < best.load)) best = thread;
    }
    return best;
  }

  takesRead(thread: PackThread): boolean {
    return thread.reads < READS_PER_WORKER;
  }

  leastLoaded(): PackThread {
    return this.all.reduce((best, thread) => (thread.load < best.load ? thread : best));
  }

  fewestFiles(): PackThread {
    return this.all.reduce((best, thread) => (thread.files < best.files ? thread : best));
  }

  /** Resolves when no thread is at work any more. */
  async end(): Promise<void> {
    for (const { worker } of this.all) worker.removeAllListeners("exit");
    const request: ToWorker = { kind: "exit" };
    await Promise.all(this.all.map(({ worker }) => endWorker(worker, request)));
  }
}
