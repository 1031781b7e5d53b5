/** A limit on how fast volumes are read by what is in no hurry. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../common/time.js";

/** Waits that are shorter are saved up: a timer is not that exact. */
const SHORTEST_MS = 50;

/**
 * To be called with every piece that was read; lets so many bytes a second through on average since the limit was made.
 * 0: all. What it gives throws the signal's reason.
 */
export function throttle(bytesPerSec: number, signal: AbortSignal): (bytes: number) => Promise<void> {
  const begun = monotonicMs();
  let passed = 0;
  return async (bytes) => {
    if (bytesPerSec <= 0) return;
    passed += bytes;
    const due = begun + (passed / bytesPerSec) * 1000 - monotonicMs();
    if (due > SHORTEST_MS) await sleep(due, undefined, { signal }).catch(() => signal.throwIfAborted());
  };
}
