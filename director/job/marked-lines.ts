/** Bacula's confirmation of `cancel` and `stop`. */
import type { LiveJob } from "./live-job.js";

/** A line for each daemon that works at the job, or one for a job that only the director knows yet. */
export function markedLines({ daemons, job, jobId }: LiveJob, how: "canceled" | "stopped"): string[] {
  const lines: string[] = [];
  if (daemons.has("filed")) lines.push(`2001 Job "${job}" marked to be ${how}.`);
  if (daemons.has("storaged")) lines.push(`3000 JobId=${jobId} Job="${job}" marked to be ${how}.`);
  if (lines.length === 0) lines.push(`JobId ${jobId}, Job ${job} marked to be ${how}.`);
  return lines;
}
