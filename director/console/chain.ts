/** Which runs make up the state of a client's FileSet at a moment. */
import { isRestorable, levelOf, type StoredJob } from "./catalog.js";

/**
 * The newest Full before `beforeMs`, the newest Differential of the same job after it, and all later Incrementals,
 * oldest first. Empty without a Full. `jobs` are those of one client and FileSet, by start time. Runs of another
 * job are left out: they are no layers of this list. Where the catalog says what the newest of them builds on, that
 * counts: a run may have been made of others, or have taken another one's place.
 */
export function chainBefore(jobs: readonly StoredJob[], beforeMs: number): StoredJob[] {
  const usable = jobs.filter((job) => isRestorable(job) && job.startMs <= beforeMs);
  const full = usable.findLast(isFull);
  if (full === undefined) return [];
  const later = usable.filter((job) => job.jobName === full.jobName && after(job, full));
  const differential = later.findLast((job) => levelOf(job) === "D");
  const start = differential ?? full;
  const incrementals = later.filter((job) => levelOf(job) === "I" && after(job, start));
  const chain = [full, ...(differential === undefined ? [] : [differential]), ...incrementals];
  return recordedChain(chain.at(-1)!, usable) ?? chain;
}

/** What a run was written against, and the run itself; undefined when a part of it is not among `usable`. */
function recordedChain(newest: StoredJob, usable: readonly StoredJob[]): StoredJob[] | undefined {
  const ids = newest.chain ?? [];
  if (ids.length === 0) return undefined;
  const chain = ids.flatMap((jobId) => usable.find((job) => job.jobId === jobId) ?? []);
  return chain.length === ids.length ? [...chain, newest] : undefined;
}

/**
 * Without copies whose originals are there too; with `copies` the copies instead, when there are any. A copy whose
 * original is gone stands for it.
 */
export function withoutCopies(jobs: readonly StoredJob[], copies: boolean): StoredJob[] {
  const made = jobs.filter((job) => isRestorable(job) && job.type === "C");
  if (copies && made.some(isFull)) return made;
  const there = new Set(jobs.filter(isRestorable).map(({ uuid }) => uuid));
  return jobs.filter((job) => job.type !== "C" || !there.has(job.copyOf));
}

/** True for a run that a chain can begin with. */
export function isFull(job: { level: string }): boolean {
  return levelOf(job) === "F" || levelOf(job) === "f";
}

function after(job: StoredJob, other: StoredJob): boolean {
  return job.startMs > other.startMs || (job.startMs === other.startMs && job.jobId > other.jobId);
}

/** Ids, oldest first. */
export function idsOf(jobs: readonly StoredJob[]): number[] {
  return jobs.map((job) => job.jobId);
}
