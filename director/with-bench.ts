/** For tests: what many of them do with the director of `testing.ts`. */

import type { JobEvent } from "../proto/generated/basalt/v1/JobEvent.js";
import { type Bench, startBench } from "./testing.js";

/** What a daemon tells first. */
export const READY: JobEvent = { state: { state: "ready", detail: "" } };
/** A job that saves a client with the bench's defaults. */
export const WEB1 = "  - {Name: web1, JobDefs: D}\n";

/** Lends a director with these jobs to `work`, and closes it. */
export async function withBench(jobs: string, work: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await startBench(jobs);
  try {
    await work(bench);
  } finally {
    await bench.close();
  }
}

/** Waits until the job is told to end. */
export function untilCanceled(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
