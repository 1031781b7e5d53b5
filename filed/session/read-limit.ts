/** A limit on bytes per second, for jobs that must leave the disk to others. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../../common/time.js";

/** Unused time is not saved up beyond this: the limit holds over any longer stretch. */
const BURST_MS = 100;

export class ReadLimit {
  readonly #bytesPerMs: number;
  readonly #signal: AbortSignal;
  /** When everything granted so far has been paid for. */
  #paidUntil: number;

  constructor(bytesPerSec: number, signal: AbortSignal) {
    this.#bytesPerMs = bytesPerSec / 1000;
    this.#signal = signal;
    this.#paidUntil = monotonicMs();
  }

  /** Resolves when `bytes` more may be read. @throws the signal's reason */
  async take(bytes: number): Promise<void> {
    this.#paidUntil = Math.max(this.#paidUntil, monotonicMs() - BURST_MS) + bytes / this.#bytesPerMs;
    const waitMs = this.#paidUntil - monotonicMs();
    if (waitMs > 1) await sleep(waitMs, undefined, { signal: this.#signal });
  }
}
