/**
 * Jobs that wait and jobs that run. Decisions come from decide.ts; this drives them: whenever something changed, or
 * the clock reached a start time, every due job that fits is started. Everything survives in the database through
 * its owner; the queue itself is memory only.
 */

import { EventEmitter } from "node:events";
import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { JobRecord } from "../db/records.js";
import type { LiveJob } from "../job/live-job.js";
import type { JobId } from "../job/request.js";
import { at } from "../timers.js";
import { type Decision, decide, nextChangeMs, type QueueItem } from "./decide.js";

export interface JobQueueOptions {
  /** Carries a job through to its end and its record; also one that was cancelled while it waited. */
  run: (live: LiveJob) => Promise<void>;
  /** Jobs at a time, all together; read at every decision. */
  directorLimit: () => number;
  /** Record of a job that is no longer in the queue. */
  record: (jobId: JobId) => JobRecord | undefined;
  log: Log;
}

export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #jobs = new Map<JobId, LiveJob>();
  readonly #events = new EventEmitter();
  #stopTimer: () => void = () => undefined;
  #decisionDue = false;
  #closed = false;

  constructor(options: JobQueueOptions) {
    this.#options = options;
    this.#events.setMaxListeners(0);
  }

  /** Waiting and running jobs, by JobId. */
  list(): LiveJob[] {
    return [...this.#jobs.values()].sort((a, b) => a.jobId - b.jobId);
  }

  get(jobId: JobId): LiveJob | undefined {
    return this.#jobs.get(jobId);
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Called after any job was queued, started, changed its state or ended. Returns the unsubscriber. */
  on(event: "change", listener: () => void): () => void {
    this.#events.on(event, listener);
    return () => void this.#events.off(event, listener);
  }

  /** Queues a job; it starts as soon as it may. */
  add(live: LiveJob): void {
    this.#jobs.set(live.jobId, live);
    this.changed();
  }

  /** Ends a job: a waiting one at once, a running one through its signal. False when it is neither. */
  cancel(jobId: JobId, reason: string): boolean {
    return this.#end(jobId, (live) => live.cancel(reason));
  }

  /** The same, but a backup keeps what it has stored. */
  stop(jobId: JobId, reason: string): boolean {
    return this.#end(jobId, (live) => live.stop(reason));
  }

  #end(jobId: JobId, end: (live: LiveJob) => void): boolean {
    const live = this.#jobs.get(jobId);
    if (live === undefined) return false;
    end(live);
    if (live.state === "waiting") this.#start(live);
    this.changed();
    return true;
  }

  /** To be called when limits or the state of a job have changed. */
  changed(): void {
    if (this.#decisionDue) return;
    this.#decisionDue = true;
    setImmediate(() => {
      this.#decisionDue = false;
      this.#decide();
      this.#events.emit("change");
    });
  }

  /** Resolves when nothing is queued or running. @throws the signal's reason */
  async waitIdle(signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.#jobs.size === 0, signal);
  }

  /** Resolves with the record of the ended job; undefined when there is no such job. */
  async waitJob(jobId: JobId, signal?: AbortSignal): Promise<JobRecord | undefined> {
    await this.#until(() => !this.#jobs.has(jobId), signal);
    return this.#options.record(jobId);
  }

  /** Starts nothing any more; jobs that run go on. */
  close(): void {
    this.#closed = true;
    this.#stopTimer();
  }

  #until(done: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (end: () => void): void => {
        off();
        signal?.removeEventListener("abort", aborted);
        end();
      };
      const aborted = (): void => finish(() => reject(signal!.reason));
      const off = this.on("change", () => {
        if (done()) finish(resolve);
      });
      if (signal?.aborted === true) aborted();
      else if (done()) finish(resolve);
      else signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  #decide(): void {
    if (this.#closed) return;
    const items = this.list().map(toItem);
    for (const [jobId, decision] of decide(items, this.#options.directorLimit(), nowMs())) {
      this.#apply(this.#jobs.get(jobId)!, decision);
    }
    const next = nextChangeMs(this.list().map(toItem), nowMs());
    this.#stopTimer();
    this.#stopTimer = next === undefined ? () => undefined : at(next, () => this.changed());
  }

  #apply(live: LiveJob, decision: Decision): void {
    if (decision.kind === "wait") live.detail = decision.detail;
    else {
      if (decision.kind === "cancel") live.cancel(decision.reason);
      this.#start(live);
    }
  }

  #start(live: LiveJob): void {
    live.state = "running";
    live.detail = live.canceled ? "has been canceled" : "is running";
    void this.#carry(live);
  }

  async #carry(live: LiveJob): Promise<void> {
    try {
      await this.#options.run(live);
    } catch (error) {
      this.#options.log.error(`JobId ${live.jobId}: ${describeError(error)}`, { err: error });
    } finally {
      // It may be queued again under its number.
      if (this.#jobs.get(live.jobId) === live) this.#jobs.delete(live.jobId);
      this.changed();
    }
  }
}

function toItem(live: LiveJob): QueueItem {
  const { job, client, fileSet, storage, priority, whenMs, maxRunSchedTimeSec } = live.plan;
  const hasImages = fileSet?.include.some(({ images }) => images !== undefined) === true;
  return {
    jobId: live.jobId,
    running: live.state === "running",
    priority,
    allowMixedPriority: job.allowMixedPriority,
    whenMs,
    maxStartDelaySec: job.maxStartDelaySec,
    maxRunSchedTimeSec,
    job: job.name,
    jobLimit: job.maximumConcurrentJobs,
    client: client?.name ?? "",
    clientLimit: client?.maximumConcurrentJobs ?? 0,
    readsImages: hasImages && (job.type === "Backup" || job.type === "Verify"),
    clientImageLimit: client?.maximumConcurrentImageJobs ?? 0,
    storage: storage?.name ?? "",
    storageLimit: storage?.maximumConcurrentJobs ?? 0,
  };
}
