/** Runs that are done again: rescheduled after an error, or at a console's wish. */

import { BackupError } from "../../common/errors.js";
import { baculaTime, nowMs } from "../../common/time.js";
import type { DirectorConfig, JobLevel } from "../config/types.js";
import type { JobRecord } from "../db/records.js";
import type { JobRun } from "./job-run.js";
import { LEVEL_LETTERS } from "./register.js";
import type { RunRequest } from "./request.js";

export interface Rescheduled {
  request: RunRequest;
  /** Nothing was stored, or what was stored is gone on with: the run keeps its number. */
  sameJobId: boolean;
  /** What the job says about it. */
  text: string;
}

/**
 * What an ended run becomes by RescheduleOnError and RescheduleIncompleteJobs; undefined: nothing. As in Bacula only
 * backups are done again, a run that was stopped or cancelled is not, and neither is an incomplete one on Bases.
 */
export function rescheduled(run: JobRun): Rescheduled | undefined {
  const { live, plan, status } = run;
  const { job, request } = plan;
  const times = request.rescheduled ?? 0;
  if (job.type !== "Backup" || (job.rescheduleTimes > 0 && times >= job.rescheduleTimes)) return undefined;
  const incomplete = status === "I" && job.rescheduleIncompleteJobs && !live.stopped && live.level !== "Base";
  const failed = job.rescheduleOnError && (status === "E" || (status === "I" && !live.stopped));
  if (!incomplete && !failed) return undefined;
  const now = nowMs();
  const seconds = job.rescheduleIntervalSec;
  const whenMs = now + seconds * 1000;
  const text = `Rescheduled Job ${live.job} at ${baculaTime(now)} to re-run in ${seconds} seconds (${baculaTime(whenMs)}).`;
  const sameJobId = status === "I" || (run.filed.result.bytes === 0 && run.storaged.result.bytesStored === 0);
  const again = { ...request, whenMs, rescheduled: times + 1 };
  if (status !== "I") return { request: again, sameJobId, text };
  return { request: { ...again, level: live.level, resume: true }, sameJobId, text };
}

const LEVELS = new Map(Object.entries(LEVEL_LETTERS).map(([level, letter]) => [letter, level as JobLevel]));

/** The request that does a recorded backup again. @throws BackupError NOT_FOUND, USAGE */
export function resumeRequest(config: DirectorConfig, record: JobRecord): RunRequest {
  const { jobId, name, client, fileSet, pool, storage, priority, comment } = record;
  const level = LEVELS.get(record.level as never);
  if (record.type !== "B" || level === undefined)
    throw new BackupError("USAGE", `JobId ${jobId} is no backup: run Job ${name} anew`);
  if (!config.jobs.has(name)) throw new BackupError("NOT_FOUND", `Job "${name}" not found`);
  const given = { client, fileSet, pool, storage };
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  return { job: name, level, ...named, priority, comment, resume: true };
}
