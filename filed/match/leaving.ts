/** The end of a walk: everything that was begun is finished, or, when the job is stopped, what is whole by then. */
import { setImmediate as turn } from "node:timers/promises";
import type { ClaimBatch } from "./claims.js";
import type { Packer } from "./content-flow.js";
import type { Emitter } from "./emitter.js";

/** What is being read when the walk is stopped gets so long to be finished. */
export const LEAVE_MS = 2000;

export interface LeavingOptions {
  emitter: Emitter;
  claims: ClaimBatch;
  packer: Packer;
  /** @throws why the job cannot go on */
  check: () => void;
}

export class Leaving {
  readonly #options: LeavingOptions;
  #finishMs: number | undefined;
  #wake: () => void = () => undefined;

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  /** True once the walk is to be stopped. */
  get now(): boolean {
    return this.#finishMs !== undefined;
  }

  /** Entries that were walked already are read for so long yet. */
  stop(finishMs: number): void {
    this.#finishMs ??= finishMs;
    this.#wake();
    this.#options.emitter.wake();
  }

  /** Everything that was begun comes to its end; false when the walk is stopped before. */
  async drain(): Promise<boolean> {
    const { emitter, packer } = this.#options;
    while (emitter.queued > 0 && !this.now) await this.#push();
    if (this.now) return false;
    await packer.flush();
    await emitter.finish();
    return true;
  }

  /** Sends what is whole and a mark behind it, so that a later run can go on from there. */
  async leave(): Promise<void> {
    const { emitter } = this.#options;
    const finishMs = this.#finishMs ?? 0;
    let late = finishMs === 0;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, finishMs);
    try {
      while (emitter.queued > 0 && !late) await this.#push();
    } finally {
      clearTimeout(timer);
    }
    emitter.mark();
    await emitter.sent();
  }

  /** Until everything accepted is done, or `#wake`. */
  async #push(): Promise<void> {
    const { claims, packer, check } = this.#options;
    claims.flush();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([packer.flush(), woken]);
    await turn();
    check();
  }
}
