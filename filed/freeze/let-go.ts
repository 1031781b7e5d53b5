/** Letting a machine go, again and again until it is done. */
import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import { release } from "./grip.js";
import type { Released, StepTools, Undo } from "./settings.js";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

export interface Patience {
  /** The last try begins before this has passed. */
  readonly limitMs: number;
  /** Told once, with the reason, when tries have failed for as long as a step may take. */
  readonly onTrouble?: (why: string) => void;
}

/** What the last try threw, when none did it. */
export async function letGo(
  undo: Undo,
  tools: Omit<StepTools, "signal">,
  { limitMs, onTrouble }: Patience,
): Promise<Released> {
  const startMs = monotonicMs();
  // A try is never given up but for its own limit.
  const { signal } = new AbortController();
  let told = false;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await release(undo, { ...tools, signal });
    } catch (error) {
      const passedMs = monotonicMs() - startMs;
      if (!told && passedMs + pauseMs > tools.stepTimeoutMs) {
        told = true;
        onTrouble?.(describeError(error));
      }
      if (passedMs + pauseMs > limitMs) throw error;
    }
    await sleep(pauseMs);
  }
}
