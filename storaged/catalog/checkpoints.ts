/**
 * Keeps the catalog's write-ahead log short without holding up the writing thread: SQLite's own way copies thousands
 * of pages into the file within some job's call, and all other jobs wait for that. Here a thread of its own copies
 * them; the writing thread is only asked for the last few, since the log begins anew when a writer finds all of it
 * copied (https://www.sqlite.org/wal.html, section 2.2).
 */

import type { CheckpointMethods, LogState } from "./checkpoint-worker.js";
import type { Remote } from "./worker-rpc.js";

export interface CheckpointOptions {
  /** The copying thread. */
  copier: Pick<Remote<CheckpointMethods>, "copy">;
  /** The same on the writing thread. */
  finish: () => Promise<LogState>;
}

/** Between what is written and the first look at the log. */
const DELAY_MS = 250;
/** A log that is shorter than this may grow (4 KiB pages). */
const SHORT_LOG = 4000;
/** After a round that found so few new pages, what came in during it does not hold up the writing thread. */
const FEW_PAGES = 512;
/** Rounds of copying what came in while the round before copied. After them little is left even if all jobs write. */
const MAX_ROUNDS = 4;

export class Checkpoints {
  readonly #options: CheckpointOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(options: CheckpointOptions) {
    this.#options = options;
  }

  /** Something was written. */
  noteWrite(): void {
    if (this.#closed) return;
    if (this.#running !== undefined) this.#again = true;
    else this.#timer ??= setTimeout(() => this.#start(), DELAY_MS).unref();
  }

  #start(): void {
    this.#timer = undefined;
    // A failure shows in the next call of the writing thread, which copies by itself when the log gets long.
    this.#running = this.#run()
      .catch(() => undefined)
      .finally(() => {
        this.#running = undefined;
        const again = this.#again;
        this.#again = false;
        if (again) this.noteWrite();
      });
  }

  async #run(): Promise<void> {
    let before = 0;
    for (let round = 1; !this.#closed; round++) {
      const { log, copied } = await this.#options.copier.copy();
      if (log < SHORT_LOG) return;
      const came = log - before;
      before = copied;
      if (round < MAX_ROUNDS && (came > FEW_PAGES || copied < log)) continue;
      await this.#options.finish();
      return;
    }
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
