/**
 * Threads whose job has ended well wait here for the next one: to start one takes as long as to read some thousand small
 * files, and what it runs is compiled anew.
 */
import { Threads } from "./threads.js";

/** Then they end: memory is worth more on a machine that does nothing for so long. */
const REST_MS = 5 * 60_000;

interface Rested {
  threads: Threads;
  timer: NodeJS.Timeout;
}

/** At most one set: jobs that run at once start further threads, and end them. */
let rested: Rested | undefined;

/** Threads that are told to end and have not yet. */
const ending = new Set<Promise<void>>();

function end(threads: Threads): void {
  const ended = threads.end().finally(() => ending.delete(ended));
  ending.add(ended);
}

/** Threads to work for a job; `begin` is to be called. */
export function takeThreads(count: number): Threads {
  const found = rested;
  rested = undefined;
  if (found === undefined) return new Threads(count);
  clearTimeout(found.timer);
  const { threads } = found;
  if (threads.all.length === count && threads.isReusable) return threads;
  end(threads);
  return new Threads(count);
}

/**
 * Ends what waits: a restore has threads of its own, and needs the memory. Resolves when no thread of former jobs is left:
 * a process that ends while one still loads a native module aborts.
 */
export async function endRestedThreads(): Promise<void> {
  if (rested !== undefined) {
    clearTimeout(rested.timer);
    const { threads } = rested;
    rested = undefined;
    end(threads);
  }
  await Promise.all(ending);
}

/** They have nothing left to do, see `isReusable`. */
export function restThreads(threads: Threads): void {
  threads.rest();
  if (rested !== undefined) {
    end(threads);
    return;
  }
  const timer = setTimeout(() => {
    rested = undefined;
    end(threads);
  }, REST_MS);
  rested = { threads, timer: timer.unref() };
}
