/**
 * A limit on bytes per second, for jobs that must leave the disk to others: a bucket that may run into debt.
 *
 * A unit is paid for when its reading begins, and the next one begins when that has been paid: what takes longer than
 * it may, overlaps. The schedule is absolute, so a timer that fires late is made up for. Over any 10 s a job reads at
 * most its limit, what it saved up (BURST_MS) and one unit: 4 % more from 1.3 MB/s on; below that a unit, which is never
 * smaller than MIN_UNIT_BYTES, is more than UNIT_MS of it.
 */
import { setTimeout as timeout } from "node:timers/promises";
import { monotonicMs } from "../../common/time.js";

/** Time in which nothing could be read is made up for as far as this, not beyond. */
const BURST_MS = 350;
/** One unit of reading should take this long at the limit: short against 10 s, long against a timer. */
const UNIT_MS = 50;
const MIN_UNIT_BYTES = 64 * 1024;

/** Where the limit has its time from; tests bring their own. */
export interface LimitClock {
  /** Milliseconds that only grow. */
  nowMs(): number;
  /** Resolves after `ms`, or a little later. @throws the signal's reason */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const REAL_CLOCK: LimitClock = {
  nowMs: monotonicMs,
  async sleep(ms, signal) {
    try {
      await timeout(ms, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  },
};

export class ReadLimit {
  /** How much should be read at once so that the disk is used evenly. */
  readonly unitBytes: number;
  readonly #bytesPerMs: number;
  readonly #signal: AbortSignal;
  readonly #clock: LimitClock;
  /** When everything read so far has been paid for. */
  #paidUntil: number;

  /** `bytesPerSec` above 0. Waiting ends with the signal. */
  constructor(bytesPerSec: number, signal: AbortSignal, clock: LimitClock = REAL_CLOCK) {
    this.#bytesPerMs = bytesPerSec / 1000;
    this.#signal = signal;
    this.#clock = clock;
    this.#paidUntil = clock.nowMs();
    this.unitBytes = Math.max(MIN_UNIT_BYTES, Math.floor(this.#bytesPerMs * UNIT_MS));
  }

  /**
   * Resolves when `bytes`, which begin to be read now, have been paid for and more may be read. Several readers may
   * share one limit. @throws the signal's reason
   */
  async take(bytes: number): Promise<void> {
    const nowMs = this.#clock.nowMs();
    this.#paidUntil = Math.max(this.#paidUntil, nowMs - BURST_MS) + bytes / this.#bytesPerMs;
    const waitMs = this.#paidUntil - nowMs;
    this.#signal.throwIfAborted();
    if (waitMs > 1) await this.#clock.sleep(waitMs, this.#signal);
  }

  /** So many bytes more (or, below 0, fewer) were read than was paid for. Who waits already goes on waiting. */
  correct(bytes: number): void {
    this.#paidUntil += bytes / this.#bytesPerMs;
  }
}
