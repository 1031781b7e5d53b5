/** How long a run may take: from its start (MaxRunTime, and one for its level), and from the time it was due. */

import { nowMs } from "../../common/time.js";
import { leastLimit } from "../../common/units.js";
import type { JobLevel } from "../config/types.js";
import { after } from "../timers.js";
import type { JobRun } from "./job-run.js";
import type { JobPlan } from "./request.js";

const LEVEL_LIMITS = {
  Full: "fullMaxRunTimeSec",
  Base: "fullMaxRunTimeSec",
  VirtualFull: "fullMaxRunTimeSec",
  Incremental: "incrementalMaxRunTimeSec",
  Differential: "differentialMaxRunTimeSec",
} as const satisfies Record<JobLevel, string>;

/** Seconds that a run of this level may take from its start; 0: no limit. */
export function runTimeLimit(
  { job, maxRunTimeSec }: Pick<JobPlan, "job" | "maxRunTimeSec">,
  level: JobLevel,
) {
  const ofLevel = job.type === "Backup" ? job[LEVEL_LIMITS[level]] : 0;
  return leastLimit(maxRunTimeSec, ofLevel);
}

/** Cancels the run when its time is up; the result ends that. Its level may change meanwhile. */
export function limitRunTime(run: JobRun): () => void {
  const { plan, startMs, live } = run;
  let stopWatch = (): void => undefined;
  let stopSched = (): void => undefined;
  const end = (reason: string): void => {
    if (live.canceled) return;
    run.say("fatal", reason);
    live.cancel(reason);
  };
  const watch = (): void => {
    const limitSec = runTimeLimit(plan, live.level);
    const leftMs = startMs + limitSec * 1000 - nowMs();
    if (limitSec > 0 && leftMs <= 0) end("Max run time exceeded. Job canceled.");
    // A level that is found later may bring another limit.
    else stopWatch = after(limitSec > 0 ? Math.min(leftMs, LOOK_MS) : LOOK_MS, watch);
  };
  const levels = Object.values(LEVEL_LIMITS);
  if (plan.maxRunTimeSec > 0 || levels.some((limit) => plan.job[limit] > 0)) watch();
  if (plan.maxRunSchedTimeSec > 0) {
    const leftMs = plan.whenMs + plan.maxRunSchedTimeSec * 1000 - nowMs();
    stopSched = after(leftMs, () => end("Max run sched time exceeded. Job canceled."));
  }
  return () => {
    stopWatch();
    stopSched();
  };
}

const LOOK_MS = 1000;
