/** Operations on a Play that make and remove jobs; what they acknowledge enters the ledger. */

import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { JobListing } from "../catalog/types.js";
import type { RetentionOutcome } from "../retention/orders.js";
import type { PruneRule } from "../retention/plan.js";
import type { Play } from "./play.js";

/** Jobs that an outcome's decisions remove. */
export function goingIn({ decisions }: Pick<RetentionOutcome, "decisions">): number[] {
  return decisions.filter(({ action }) => action === "delete").map(({ job }) => job.jobId);
}

/** `plan` with `dry` first: until the real one has answered, the jobs that are to go may be there or not. */
async function remove(
  play: Play,
  plan: (dry: boolean) => Promise<RetentionOutcome>,
): Promise<RetentionOutcome> {
  const { ledger } = play;
  const planned = await plan(true);
  if (planned.refused) return planned;
  for (const jobId of goingIn(planned)) ledger.set(jobId, "open");
  const done = await plan(false);
  const gone = new Set(done.refused ? [] : goingIn(done));
  for (const jobId of goingIn(planned)) ledger.set(jobId, gone.has(jobId) ? "gone" : "kept");
  return done;
}

export function purgeJobs(play: Play, jobIds: readonly number[], rebase = false): Promise<RetentionOutcome> {
  return remove(play, (dry) => play.daemon.operations.purge(jobIds, { rebase, dry }));
}

export function purgeVolume(play: Play, volume: string, rebase = false): Promise<RetentionOutcome> {
  return remove(play, (dry) => play.daemon.operations.purgeVolume(volume, { rebase, dry }));
}

export function prune(play: Play, rules: readonly PruneRule[]): Promise<RetentionOutcome> {
  return remove(play, (dry) => play.daemon.operations.prune(rules, dry));
}

/** A rule that keeps the newest runs of every job. */
export function keepLast(last: number, consolidate = false): PruneRule {
  const keep = { last, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };
  return { jobName: "", client: "", pool: "", jobRetention: 0, fileRetention: 0, keep, consolidate };
}

/** A new job out of the newest runs of `of`'s job, `newest` being the last of them. */
export async function virtualFull(play: Play, newest: JobListing, pool: string): Promise<JobResult> {
  const { ledger, daemon } = play;
  return entered(
    play,
    newest.jobId,
    (jobId) => daemon.operations.virtualFull(jobId, newest, pool),
    ledger.nextJobId,
  );
}

export async function copyJob(
  play: Play,
  original: JobListing,
  pool: string,
  migrate = false,
): Promise<JobResult> {
  const { ledger, daemon } = play;
  const run = (jobId: number) => daemon.operations.copy(jobId, original, pool, migrate);
  if (migrate) ledger.set(original.jobId, "open");
  const result = await entered(play, original.jobId, run, ledger.nextJobId);
  // The original goes when nothing that runs needs it, at the latest with the next start.
  if (migrate && result.ok !== true) ledger.set(original.jobId, "kept");
  return result;
}

/** Runs a job that must come to what job `like` is. */
async function entered(
  { ledger, outcomes }: Play,
  like: number,
  run: (jobId: number) => Promise<JobResult>,
  jobId: number,
): Promise<JobResult> {
  ledger.begin(jobId, ledger.jobs.get(like)!.snapshot);
  const result = await run(jobId);
  ledger.set(jobId, result.ok === true ? "kept" : "gone");
  outcomes.push({ jobId, result, refusal: "" });
  return result;
}
