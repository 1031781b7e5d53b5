/**
 * One daemon's part of a job: reads its event stream to the end, passes messages and progress on, and tells what
 * became of it. A stream that breaks counts as a failed part, with the reason.
 */

import { codeOf, describeError } from "../../common/errors.js";
import type { JobEvent__Output as JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult__Output as JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { JobState__Output as JobState } from "../../proto/generated/basalt/v1/JobState.js";
import type { Progress__Output as Progress } from "../../proto/generated/basalt/v1/Progress.js";
import type { RpcChannel } from "../../proto/rpc.js";
import { messageType } from "../messages/types.js";
import { type JobRun, NO_RESULT } from "./job-run.js";
import type { LiveProgress } from "./live-job.js";

export interface SideOptions {
  run: JobRun;
  role: "filed" | "storaged";
  /** Name in messages: the Client or Storage resource. */
  name: string;
  channel: RpcChannel;
  method: "StartBackup" | "StartRestore" | "StartVerify" | "StartVirtualFull" | "StartCopy" | "OfferCopy";
  request: object;
  onState?: (state: JobState) => void;
  /** UUID under which the daemon knows the job. (Default: the run's) */
  cancelUuid?: string;
}

export class Side {
  readonly role: "filed" | "storaged";
  readonly name: string;
  /** Resolves when the daemon is ready for its counterpart (true), or ended before (false). */
  readonly ready: Promise<boolean>;
  /** Resolves when this part is over; never rejects. */
  readonly ended: Promise<JobResult>;
  /** Set once it is over. */
  result: JobResult | undefined;
  /** The stream broke: the daemon died, hangs, or was given up. */
  broken = false;
  /** Whether the daemon said itself why it failed. */
  saidFatal = false;
  readonly #options: SideOptions;
  readonly #abort = new AbortController();
  #setReady: (ready: boolean) => void = () => undefined;
  #givenUp: string | undefined;

  constructor(options: SideOptions) {
    this.#options = options;
    this.role = options.role;
    this.name = options.name;
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
    this.ended = this.#read();
  }

  /**
   * Asks the daemon to end the job, in its own time and with its After hooks. Also when only the stream broke:
   * the daemon may live. Errors do not matter. `keep`: what a backup has stored stays, if the job allows it.
   */
  async cancel(reason: string, keep = false): Promise<void> {
    if (this.result !== undefined && !this.broken) return;
    const { channel, run } = this.#options;
    const service = this.role === "filed" ? "Filed" : "Storaged";
    const request = { jobUuid: this.#options.cancelUuid ?? run.live.uuid, reason, keep };
    await channel.unary(service, "Cancel", request, { timeoutMs: 10_000 }).catch(() => undefined);
  }

  /** Breaks the stream: the daemon is not waited for any longer. */
  giveUp(reason: string): void {
    this.#givenUp ??= reason;
    this.#abort.abort();
  }

  async #read(): Promise<JobResult> {
    const { channel, method, request } = this.#options;
    const service = this.role === "filed" ? "Filed" : "Storaged";
    let result: JobResult | undefined;
    this.#options.run.live.daemons.add(this.role);
    try {
      const events = channel.stream<JobEvent>(service, method, request, { signal: this.#abort.signal });
      for await (const event of events) {
        if (event.event === "result" && event.result) result = event.result;
        else this.#take(event);
      }
      result ??= this.#failed(`${this.#label()} ended the job without a result`);
    } catch (error) {
      result ??= this.#failed(`${this.#label()}: ${this.#givenUp ?? lossText(error)}`);
    }
    this.#options.run.live.daemons.delete(this.role);
    this.result = result;
    this.#setReady(false);
    return result;
  }

  #failed(reason: string): JobResult {
    this.broken = true;
    return { ...NO_RESULT, reason };
  }

  #label(): string {
    return this.role === "filed" ? `Client ${this.name}` : `Storage ${this.name}`;
  }

  #take(event: JobEvent): void {
    const { run } = this.#options;
    if (event.event === "message" && event.message) {
      const { type, text, timeMs } = event.message;
      if (type === "fatal") this.saidFatal = true;
      const shown = run.plan.job.type === "Restore" && type === "saved" ? "restored" : messageType(type);
      const origin = { daemon: this.name, ...(timeMs > 0 ? { timeMs } : {}) };
      run.services.messages.emit(run.source, shown, text, origin);
    } else if (event.event === "progress" && event.progress) {
      advance(run.live.progress, event.progress, this.role);
    } else if (event.event === "state" && event.state) {
      if (event.state.state === "ready") this.#setReady(true);
      this.#options.onState?.(event.state);
    }
  }
}

const LOST = new Set(["PEER_UNAVAILABLE", "PEER_TIMEOUT", "CONNECTION_LOST", "ABORT_ERR"]);

/** Why a stream broke; gRPC's own words on a lost connection help nobody. */
function lossText(error: unknown): string {
  if (!LOST.has(codeOf(error) ?? "")) return describeError(error);
  return "connection lost, the daemon has ended or does not answer";
}

/** Each figure comes from the daemon that knows it; none ever goes back. */
function advance(live: LiveProgress, news: Progress, role: "filed" | "storaged"): void {
  if (role === "filed") {
    live.files = Math.max(live.files, news.files);
    live.bytesRead = Math.max(live.bytesRead, news.bytesRead);
    live.bytesSent = Math.max(live.bytesSent, news.bytesSent);
    live.errors = Math.max(live.errors, news.errors);
    if (news.path.length > 0) live.path = news.path.toString("latin1");
  } else {
    live.bytesStored = Math.max(live.bytesStored, news.bytesStored);
    if (news.volume !== "") live.volume = news.volume;
  }
}
