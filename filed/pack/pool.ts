/**
 * Reads, digests, deduplicates, packs and compresses files for one backup job, on worker threads.
 *
 * Per batch of small files, and per window of a large one: read and digest (a worker) -> claim (storaged says what
 * it knows) -> pack the rest (a worker) -> frame sent -> owners told. All stages run at once for different units;
 * slots bound the bytes, MAX_PENDING the tasks. Content always precedes the `onDone` that names it.
 */
import { pendingOf } from "./batch.js";
import { PackFlow, type Send } from "./pack-flow.js";
import { WINDOW_BYTES } from "./protocol.js";
import { ReadQueue } from "./read-queue.js";
import { restThreads, takeThreads } from "./rested-threads.js";
import type { PackTask } from "./task.js";
import { defaultWorkers, type PackThread, type Threads } from "./threads.js";

export type { Compression, FileIdentity, PackResult, PackTask } from "./task.js";

/** Slows reading down. */
export interface Throttle {
  /** How much is read at once. */
  unitBytes: number;
  /** These bytes begin to be read; resolves when more may be read after them. */
  take: (bytes: number) => Promise<void>;
  /** So many more (below 0: fewer) were read than was said when it began. */
  correct: (bytes: number) => void;
}

export interface PackPoolOptions {
  /** Worker threads. (Default: one per CPU, 2 to 4) */
  workers?: number;
  jobId: number;
  /** Store every file up to MAX_WHOLE_BYTES as a member of its own, without asking. */
  selfContained: boolean;
  send: Send;
  /** Asks storaged about digests (32 bytes each); one byte per digest comes back, 1 for known. */
  claim: (digests: Buffer) => Promise<Buffer>;
  /** A limit on reading, see ReadLimit. (Default: none) */
  throttle?: Throttle | undefined;
  signal: AbortSignal;
  /** CPU priority of the worker threads. (Default: 0, unchanged) */
  nice?: number;
  /** Disk priority of the worker threads, see parseIoNice. (Default: "", unchanged) */
  ioNice?: string;
  /** Something for the daemon's log. */
  onRemark?: (text: string) => void;
}

/** Tasks accepted and not done; `submit` waits above it. */
const MAX_PENDING = 4096;
const TICK_MS = 50;
/** A frame that began so many ticks ago goes out as it is, so that nobody waits long for its content. */
const FLUSH_TICKS = 3;

interface Waiter {
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Engine {
  threads: Threads;
  flow: PackFlow;
  queue: ReadQueue;
}

export class PackPool {
  readonly #options: PackPoolOptions;
  /** Threads are started by the first task: a job without new content does without. */
  #engine: Engine | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #failure: { error: unknown } | undefined;
  #ended: Promise<void> = Promise.resolve();
  readonly #abort = (): void => this.#fail(this.#options.signal.reason);
  #pending = 0;
  #roomWaiters: Waiter[] = [];
  #flushWaiters: Waiter[] = [];

  constructor(options: PackPoolOptions) {
    this.#options = options;
    if (options.signal.aborted) this.#fail(options.signal.reason);
    else options.signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Resolves when the task was accepted. @throws what made the pool fail (an error of send or claim, an abort) */
  async submit(task: PackTask): Promise<void> {
    this.#check();
    this.#engine ??= this.#start();
    this.#pending++;
    if (this.#engine.queue.add(pendingOf(task))) {
      this.#pump();
      // Lets the event loop turn, so that the workers' answers are noticed while the walk goes on.
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (this.#pending >= MAX_PENDING) await this.#wait(this.#roomWaiters);
    this.#check();
  }

  /** Resolves when every task accepted so far, and meanwhile, is done. @throws as submit */
  async flush(): Promise<void> {
    this.#check();
    if (this.#pending === 0) return;
    const done = this.#wait(this.#flushWaiters);
    this.#pump();
    await done;
  }

  /** Lets go of the worker threads; tasks that are not done are forgotten. Harmless a second time. */
  async close(): Promise<void> {
    const engine = this.#engine;
    const isDone = this.#failure === undefined && this.#pending === 0;
    if (isDone && engine?.flow.isIdle && engine.queue.empty && engine.threads.isReusable) {
      this.#engine = undefined;
      restThreads(engine.threads);
    }
    this.#fail(new Error("the pack pool was closed"));
    await this.#ended;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #wait(list: Waiter[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => list.push({ resolve, reject }));
  }

  #start(): Engine {
    const { jobId, workers = defaultWorkers(), nice = 0, ioNice = "", send, claim, throttle } = this.#options;
    const onMessage = (thread: PackThread, message: Parameters<PackFlow["onMessage"]>[1]): void => {
      if (this.#failure === undefined) this.#guard(flow.onMessage(thread, message));
      else flow.discard(message);
    };
    const onError = (error: Error): void => this.#fail(error);
    const windowBytes = Math.min(throttle?.unitBytes ?? WINDOW_BYTES, WINDOW_BYTES);
    const threads = takeThreads(workers);
    threads.begin({ jobId, windowBytes, nice, ioNice }, { onMessage, onError });
    const flow = new PackFlow(threads, {
      selfContained: this.#options.selfContained,
      send,
      claim,
      readDone: (bytesRead, expected = windowBytes) => this.#readDone(bytesRead - expected),
      changed: () => this.#pump(),
      tasksDone: (count) => this.#tasksDone(count),
      requeue: (pending, as) => (as === "large" ? void queue.add(pending, true) : queue.addSmall(pending)),
      fileRead: (file) => queue.fileRead(file),
      remark: (text) => this.#options.onRemark?.(text),
    });
    const limit = throttle && { unitBytes: windowBytes, pay: (bytes: number) => this.#pay(throttle, bytes) };
    const queue = new ReadQueue(threads, flow, send, limit);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    return { threads, flow, queue };
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#options.signal.removeEventListener("abort", this.#abort);
    clearInterval(this.#ticker);
    for (const waiter of [...this.#roomWaiters, ...this.#flushWaiters]) waiter.reject(error);
    const engine = this.#engine;
    if (engine === undefined) return;
    // Directories are let go when no thread can open anything in them any more.
    this.#ended = engine.threads.end().then(() => {
      engine.flow.releaseAll();
      engine.queue.releaseAll();
    });
  }

  /** `surplus`: bytes read beyond what was paid for. */
  #readDone(surplus: number): void {
    this.#options.throttle?.correct(surplus);
    this.#pump();
  }

  #pay(throttle: Throttle, bytes: number): void {
    const { queue } = this.#engine!;
    queue.paying++;
    const paid = throttle.take(bytes).then(() => {
      queue.paying--;
      this.#pump();
    });
    this.#guard(paid);
  }

  #tasksDone(count: number): void {
    this.#pending -= count;
    if (this.#pending < MAX_PENDING) for (const waiter of this.#roomWaiters.splice(0)) waiter.resolve();
    if (this.#pending === 0) for (const waiter of this.#flushWaiters.splice(0)) waiter.resolve();
  }

  #tick(): void {
    const { threads, queue } = this.#engine!;
    queue.closeOpen(false);
    for (const thread of threads.all) {
      if (thread.open && ++thread.openTicks >= FLUSH_TICKS) threads.flush(thread);
    }
    this.#pump();
  }

  /** Starts whatever can be started. */
  #pump(): void {
    if (this.#failure !== undefined || this.#engine === undefined) return;
    const { threads, flow, queue } = this.#engine;
    const draining = this.#flushWaiters.length > 0;
    if (draining) queue.closeOpen(true);
    queue.start();
    // The last content of all lies in frames that nothing would fill up.
    if (draining && flow.busy === 0 && queue.empty) {
      for (const thread of threads.all) if (thread.open) threads.flush(thread);
    }
  }
}
