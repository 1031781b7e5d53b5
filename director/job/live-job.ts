/** A run from the moment it is queued until it has ended: what status displays and cancel need. */

import { setMaxListeners } from "node:events";
import type { JobLevel } from "../config/types.js";
import type { JobId, JobPlan } from "./request.js";

/** Newest figures of a running job; they never go back. */
export interface LiveProgress {
  files: number;
  bytesRead: number;
  bytesSent: number;
  bytesStored: number;
  errors: number;
  /** File at hand, raw bytes as a latin1 string. */
  path: string;
  volume: string;
}

export interface LiveJobOptions {
  jobId: JobId;
  uuid: string;
  job: string;
  plan: JobPlan;
  queuedMs: number;
}

export class LiveJob {
  readonly jobId: JobId;
  readonly uuid: string;
  /** `NAME.YYYY-MM-DD_HH.MM.SS_NN` */
  readonly job: string;
  /** Settled when it was queued; an upgrade of its level may bring another pool. */
  plan: JobPlan;
  readonly queuedMs: number;
  /** waiting: in the queue; running: its sequence was started. */
  state: "waiting" | "running" = "waiting";
  /** Bacula's words for the state, to be shown behind the job's name: `is running`, `is waiting on …`. */
  detail = "is waiting execution";
  /** Level after any upgrade. */
  level: JobLevel;
  /** 0 until it runs. */
  startedMs = 0;
  readonly progress: LiveProgress = {
    files: 0,
    bytesRead: 0,
    bytesSent: 0,
    bytesStored: 0,
    errors: 0,
    path: "",
    volume: "",
  };
  /** JobId that a Copy or Migrate run works on; 0: none. */
  worksOn = 0;
  /** Daemons that work on it now. */
  readonly daemons = new Set<"filed" | "storaged">();
  /** Set once the job is to end: the words for its messages. */
  cancelReason: string | undefined;
  /** It is over, although it may still stand in the queue. */
  ended = false;
  readonly #abort = new AbortController();

  constructor(options: LiveJobOptions) {
    this.jobId = options.jobId;
    this.uuid = options.uuid;
    this.job = options.job;
    this.plan = options.plan;
    this.queuedMs = options.queuedMs;
    this.level = options.plan.level;
    setMaxListeners(0, this.#abort.signal);
  }

  /** Aborted when the job is cancelled; hooks that run and waits for daemons end then. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get canceled(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Set when it ends by `stop`: what it has stored so far is kept. */
  stopped = false;

  /** Ends it; a backup keeps what it has stored. */
  stop(reason: string): void {
    if (!this.canceled) this.stopped = true;
    this.cancel(reason);
  }

  /** Marks the job as cancelled; the first reason stays. */
  cancel(reason: string): void {
    this.cancelReason ??= reason;
    this.#abort.abort();
  }
}
