/**
 * Checks frames in worker threads before they count (frame-check.ts says what is checked). A frame is copied once,
 * into a slot of shared memory: some 0.1 ms per MiB, against several for the check itself, and the caller keeps
 * its buffer to write it. Every worker has two slots, so that one fills while the other is checked.
 */
import { Worker } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { type FrameEntry, writeEntries } from "../../common/format/frame.js";
import { ByteWriter } from "../../common/format/varint.js";
import type { VerifyAnswer, VerifyTask } from "./verify-worker.js";
import { MAX_FRAME_BYTES } from "./zstd-frame.js";

/** A frame as it was received. */
export interface FrameToVerify {
  rawBytes: number;
  entries: readonly FrameEntry[];
  /** Not changed and not needed after `verify` was called for its turn: copied when a slot is free. */
  data: Uint8Array;
}

const SLOTS_PER_WORKER = 2;
/** A member takes at least 1 KiB, so that no frame has more than 8,192 entries of at most 42 bytes. */
const MAX_ENTRIES = 8192;
const SLOT_BYTES = MAX_FRAME_BYTES + MAX_ENTRIES * 48;

interface Job {
  frame: FrameToVerify;
  jobId: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** One thread, its slots, and the jobs in them. */
interface Thread {
  worker: Worker;
  slots: SharedArrayBuffer[];
  jobs: (Job | undefined)[];
}

export class FrameVerifier {
  readonly #limit: number;
  #threads: Thread[] = [];
  #waiting: Job[] = [];
  #closed = false;

  /** Threads start when they are needed. (Default: 2 workers) */
  constructor(options: { workers?: number } = {}) {
    this.#limit = Math.max(1, options.workers ?? 2);
  }

  /**
   * Resolves when the frame is one zstd frame of well-formed tar members of job `jobId` that hold exactly the
   * chunks of `entries`. Callers bound the number of frames they have under way.
   * @throws FRAME_REFUSED when it is not; VERIFIER_FAILED when the thread died or the verifier was closed
   */
  verify(frame: FrameToVerify, jobId: number): Promise<void> {
    if (this.#closed) return Promise.reject(failed("it was closed"));
    if (frame.data.length > MAX_FRAME_BYTES || frame.entries.length > MAX_ENTRIES) {
      return Promise.reject(refused("frame too large"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frame, jobId, resolve, reject });
      this.#fill();
    });
  }

  /** Ends the threads; what was not checked yet is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const threads = this.#threads;
    this.#threads = [];
    for (const job of this.#waiting.splice(0)) job.reject(failed("it was closed"));
    for (const thread of threads) rejectAll(thread, failed("it was closed"));
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  /** Puts waiting frames into free slots, on the least busy thread. */
  #fill(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#pick();
      if (thread === undefined) return;
      const job = this.#waiting.shift()!;
      const slot = thread.jobs.indexOf(undefined);
      thread.jobs[slot] = job;
      // An idle thread does not keep the process alive, one at work does.
      thread.worker.ref();
      thread.worker.postMessage(place(job, thread.slots[slot]!, slot));
    }
  }

  #pick(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (busy(thread) === 0) return thread;
      if (busy(thread) < SLOTS_PER_WORKER && (best === undefined || busy(thread) < busy(best))) best = thread;
    }
    return this.#threads.length < this.#limit ? this.#start() : best;
  }

  #start(): Thread {
    const slots = Array.from({ length: SLOTS_PER_WORKER }, () => new SharedArrayBuffer(SLOT_BYTES));
    const worker = new Worker(new URL("./verify-worker.js", import.meta.url), { workerData: { slots } });
    const thread: Thread = { worker, slots, jobs: slots.map(() => undefined) };
    worker.on("message", (answer: VerifyAnswer) => {
      const job = thread.jobs[answer.slot];
      thread.jobs[answer.slot] = undefined;
      if (busy(thread) === 0) worker.unref();
      if (answer.refused === undefined) job?.resolve();
      else job?.reject(refused(answer.refused));
      this.#fill();
    });
    worker.on("error", (cause) => this.#lose(thread, cause));
    worker.on("exit", () => this.#lose(thread, undefined));
    this.#threads.push(thread);
    return thread;
  }

  #lose(thread: Thread, cause: unknown): void {
    this.#threads = this.#threads.filter((other) => other !== thread);
    rejectAll(thread, failed("its thread ended", cause));
    if (!this.#closed) this.#fill();
  }
}

function busy(thread: Thread): number {
  return thread.jobs.reduce((sum, job) => sum + (job === undefined ? 0 : 1), 0);
}

function place(job: Job, slot: SharedArrayBuffer, number: number): VerifyTask {
  const { data, entries, rawBytes } = job.frame;
  const encoded = new ByteWriter(16 + entries.length * 40);
  writeEntries(encoded, entries);
  const bytes = new Uint8Array(slot);
  bytes.set(data);
  bytes.set(encoded.bytes(), data.length);
  const entriesBytes = encoded.length;
  return { slot: number, frameBytes: data.length, entriesBytes, rawBytes, jobId: job.jobId };
}

function rejectAll(thread: Thread, error: BackupError): void {
  for (const job of thread.jobs) job?.reject(error);
  thread.jobs = thread.slots.map(() => undefined);
}

function refused(reason: string): BackupError {
  return new BackupError("FRAME_REFUSED", `Frame refused: ${reason}`);
}

function failed(why: string, cause?: unknown): BackupError {
  return new BackupError(
    "VERIFIER_FAILED",
    `Frames cannot be checked: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
