/** What becomes of a new run while another of the same job is queued or running: AllowDuplicateJobs and its rules. */

import type { JobLevel, JobResource } from "../config/types.js";
import type { LiveJob } from "../job/live-job.js";
import type { JobId } from "../job/request.js";
import type { MessageCenter } from "../messages/center.js";

export interface DuplicateCandidate {
  jobId: number;
  running: boolean;
  level: JobLevel;
}

export interface DuplicateDecision {
  /** Runs to cancel in favour of the new one. */
  cancel: number[];
  /** Why the new one must not run. */
  refuse?: string;
}

const RANK: Readonly<Record<JobLevel, number>> = {
  Base: 4,
  Full: 4,
  VirtualFull: 4,
  Differential: 3,
  Incremental: 2,
};

type Rules = Pick<
  JobResource,
  "allowDuplicateJobs" | "cancelLowerLevelDuplicates" | "cancelQueuedDuplicates" | "cancelRunningDuplicates"
>;

/** `others`: waiting and running runs of the same job. */
export function judgeDuplicates(
  rules: Rules,
  level: JobLevel,
  others: readonly DuplicateCandidate[],
): DuplicateDecision {
  const decision: DuplicateDecision = { cancel: [] };
  if (rules.allowDuplicateJobs) return decision;
  for (const other of others) {
    const higher = rules.cancelLowerLevelDuplicates && RANK[other.level] > RANK[level];
    if (higher) return { cancel: [], refuse: notAllowed(other.jobId) };
    const lower = rules.cancelLowerLevelDuplicates && RANK[other.level] < RANK[level];
    const queued = rules.cancelQueuedDuplicates && !other.running;
    const running = rules.cancelRunningDuplicates && other.running;
    if (lower || queued || running) decision.cancel.push(other.jobId);
    else return { cancel: [], refuse: notAllowed(other.jobId) };
  }
  return decision;
}

function notAllowed(jobId: number): string {
  return `JobId ${jobId} already running. Duplicate job not allowed.`;
}

/** The same for a run that is about to be queued, carried out and told; one that is over and is followed by it is no other one. */
export function settleDuplicates(
  live: LiveJob,
  {
    queued,
    messages,
    cancel,
  }: {
    queued: readonly LiveJob[];
    messages: Pick<MessageCenter, "emit">;
    cancel: (jobId: JobId, reason: string) => void;
  },
): void {
  const { job } = live.plan;
  const source = { jobId: live.jobId, name: job.name, messages: live.plan.messages };
  const same = queued.filter((other) => other.plan.job.name === job.name && !other.canceled && !other.ended);
  const others = same.map(({ jobId, state, level }) => ({ jobId, running: state === "running", level }));
  const decision = judgeDuplicates(job, live.level, others);
  for (const jobId of decision.cancel) {
    messages.emit(source, "info", `Cancelling duplicate JobId=${jobId}.`);
    cancel(jobId, `Duplicate of JobId ${live.jobId}.`);
  }
  if (decision.refuse === undefined) return;
  messages.emit(source, "fatal", decision.refuse);
  live.cancel(decision.refuse);
}
