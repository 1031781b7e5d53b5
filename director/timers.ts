/** Timers beyond the 24 days of setTimeout, and ones that follow the clock when it is set. */

import { nowMs, whenClockIsSet } from "../common/time.js";

const LONGEST_MS = 2 ** 31 - 1;

/** Calls `work` once after a duration; the result cancels it. */
export function after(durationMs: number, work: () => void): () => void {
  let left = Math.max(0, durationMs);
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const part = Math.min(left, LONGEST_MS);
    left -= part;
    timer = setTimeout(() => (left > 0 ? arm() : work()), part);
  };
  arm();
  return () => clearTimeout(timer);
}

/** How long a clock that was set may go unnoticed. */
const LOOK_MS = 30_000;

/** Calls `work` once when the clock shows `atMs` or later, also when it was set; the result cancels it. */
export function at(atMs: number, work: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    clearTimeout(timer);
    const left = atMs - nowMs();
    if (left <= 0) timer = setTimeout(due, 0);
    else timer = setTimeout(arm, Math.min(left, LOOK_MS));
  };
  const stopLooking = whenClockIsSet(arm);
  const stop = (): void => {
    stopLooking();
    clearTimeout(timer);
  };
  const due = (): void => {
    stop();
    work();
  };
  arm();
  return stop;
}
