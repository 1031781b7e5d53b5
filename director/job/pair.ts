/**
 * Two daemons that work on one job: as soon as one of them fails, dies, or the job is cancelled, the other is told to
 * end too, and is waited for as long as its After hooks may take. Time limits of the job are kept here. Whoever makes
 * one calls `finish`.
 */

import type { JobResult__Output as JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { JobState__Output as JobState } from "../../proto/generated/basalt/v1/JobState.js";
import { after } from "../timers.js";
import { clientAfterMs } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import type { Side } from "./side.js";

/** How long a daemon may take to end after it was told to, besides its hooks. */
const END_MS = 60_000;

export class Pair {
  readonly #run: JobRun;
  readonly #sides: Side[] = [];
  readonly #stops: (() => void)[] = [];
  #failure: string | undefined;
  #culprit: Side | undefined;
  /** The storage daemon waits for an operator: it takes nothing more from the client. */
  #storageWaits = false;
  #waitLeftMs: number;
  #waitingSince: (() => void) | undefined;

  constructor(run: JobRun) {
    this.#run = run;
    this.#waitLeftMs = run.plan.job.maxWaitTimeSec * 1000;
    const onCancel = (): void => this.fail(run.live.cancelReason ?? "canceled");
    run.live.signal.addEventListener("abort", onCancel, { once: true });
    this.#stops.push(() => run.live.signal.removeEventListener("abort", onCancel));
    const onShutdown = (): void => this.#giveUpAll("the director ends");
    run.services.shutdown.addEventListener("abort", onShutdown, { once: true });
    this.#stops.push(() => run.services.shutdown.removeEventListener("abort", onShutdown));
    // Ended before anything began: no event tells of it any more.
    if (run.live.canceled) onCancel();
    else if (run.services.shutdown.aborted) this.fail("the director ends");
  }

  /** Why the job is ending before its time; undefined while all goes well. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Watches a part from now on. */
  add(side: Side): Side {
    this.#sides.push(side);
    void side.ended.then((result) => {
      if (result.ok) return;
      this.fail(result.reason === "" ? `${side.name} failed` : result.reason, side);
      // After a stop nobody else has told the other one yet.
      if (this.#run.live.stopped) for (const other of this.#sides) this.#end(other, result.reason);
    });
    if (this.#failure !== undefined) this.#end(side, this.#failure);
    return side;
  }

  /** Ends the job: every part that still runs is told, and given up when it does not listen. */
  fail(reason: string, culprit?: Side): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#culprit = culprit;
    if (culprit?.broken === true) void culprit.cancel(reason, this.#keeps(culprit));
    for (const side of this.#sides) {
      // A client that stops sends what it has, and the storage daemon ends behind that.
      const follows = side.role === "storaged" && culprit === undefined && this.#run.live.stopped;
      if (side !== culprit && !(follows && this.#runs("filed") && !this.#storageWaits))
        this.#end(side, reason);
    }
  }

  #runs(role: Side["role"]): boolean {
    return this.#sides.some((side) => side.role === role && side.result === undefined);
  }

  /** Resolves when every part is over. Tells the reason of a failure unless its daemon or the canceller has. */
  async finish(): Promise<void> {
    for (let seen = 0; seen < this.#sides.length; ) {
      seen = this.#sides.length;
      await Promise.all(this.#sides.map((side) => side.ended));
    }
    for (const stop of this.#stops) stop();
    this.#waitingSince?.();
    const run = this.#run;
    for (const side of this.#sides)
      run[side.role] = { result: side.result!, status: sideStatus(side.result!), broken: side.broken };
    if (this.#failure === undefined) return;
    run.reason = this.#failure;
    if (!run.live.canceled && this.#culprit?.saidFatal !== true) run.say("fatal", this.#failure);
  }

  /** State events of a daemon: waiting for an operator is shown, and limited by Max Wait Time. */
  onState(state: JobState): void {
    const waiting = state.state === "waiting";
    this.#storageWaits = waiting;
    // Told to stop already, its client cannot send what it still has.
    const { live } = this.#run;
    if (waiting && live.stopped && this.#failure !== undefined)
      for (const side of this.#sides) if (side.role === "storaged") this.#end(side, this.#failure);
    this.#waitingSince?.();
    this.#waitingSince = undefined;
    if (waiting) this.#limitWait();
    if (waiting) this.#run.state(state.detail === "" ? "is waiting on Storage" : state.detail);
    else this.#run.state("is running");
  }

  #limitWait(): void {
    if (this.#run.plan.job.maxWaitTimeSec <= 0) return;
    const started = performance.now();
    const stop = after(this.#waitLeftMs, () => {
      const reason = "Max wait time exceeded. Job canceled.";
      this.#run.say("fatal", reason);
      this.#run.live.cancel(reason);
    });
    this.#waitingSince = () => {
      stop();
      this.#waitLeftMs -= performance.now() - started;
    };
  }

  #end(side: Side, reason: string): void {
    if (side.result !== undefined) return;
    if (this.#run.services.shutdown.aborted) {
      side.giveUp("the director ends");
      return;
    }
    void side.cancel(reason, this.#keeps(side));
    const patienceMs = END_MS + (side.role === "filed" ? clientAfterMs(this.#run) : 0);
    this.#stops.push(after(patienceMs, () => side.giveUp("did not end after it was told to")));
  }

  /** What the storage daemon has counts unless the job was cancelled; the client is only asked when it is stopped. */
  #keeps(side: Side): boolean {
    const { live } = this.#run;
    return live.stopped || (side.role === "storaged" && !live.canceled);
  }

  #giveUpAll(reason: string): void {
    for (const side of this.#sides) if (side.result === undefined) side.giveUp(reason);
  }
}

function sideStatus(result: JobResult): string {
  if (result.ok) return "OK";
  if (result.incomplete) return "Incomplete";
  return result.canceled ? "Canceled" : "Error";
}
