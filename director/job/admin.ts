/** Jobs of type Admin: nothing but their hooks. */

import { runBeforeHooks } from "./hooks.js";
import type { JobRun } from "./job-run.js";
import { adminReport } from "./report.js";

export async function runAdmin(run: JobRun): Promise<void> {
  run.info(`Start Admin JobId ${run.live.jobId}, Job=${run.live.job}`);
  await runBeforeHooks(run);
}

export function reportAdmin(run: JobRun): string {
  return adminReport({
    director: run.plan.config.director.name,
    version: run.services.version,
    jobId: run.live.jobId,
    job: run.live.job,
    scheduledMs: run.plan.whenMs,
    startMs: run.startMs,
    endMs: run.endMs,
    status: run.status,
  });
}
