/** Which runs make up the state of a client's FileSet at a moment. */
import { isRestorable, levelOf, type StoredJob } from "./catalog.js";

/**
 * The newest Full before `beforeMs`, the newest Differential of the same job after it, and all later Incrementals,
 * oldest first. Empty without a Full. `jobs` are those of one client and FileSet, by start time. Runs of another
 * job are left out: they are no layers of this list.
 */
export function chainBefore(jobs: readonly StoredJob[], beforeMs: number): StoredJob[] {
  const usable = jobs.filter((job) => isRestorable(job) && job.startMs <= beforeMs);
  const full = usable.findLast((job) => levelOf(job) === "F");
  if (full === undefined) return [];
  const later = usable.filter((job) => job.jobName === full.jobName && after(job, full));
  const differential = later.findLast((job) => levelOf(job) === "D");
  const start = differential ?? full;
  const incrementals = later.filter((job) => levelOf(job) === "I" && after(job, start));
  return [full, ...(differential === undefined ? [] : [differential]), ...incrementals];
}

function after(job: StoredJob, other: StoredJob): boolean {
  return job.startMs > other.startMs || (job.startMs === other.startMs && job.jobId > other.jobId);
}

/** Ids, oldest first. */
export function idsOf(jobs: readonly StoredJob[]): number[] {
  return jobs.map((job) => job.jobId);
}
