/** Whose file lists leave the catalog while the runs stay (File Retention, `purge files`): pure. */

import type { LocalJob } from "../catalog/types.js";
import { isGood, isRunning, type PlanJob } from "./closure.js";
import { byTime, type Decision, type PlanInput, protectedRuns, ruleOf, type Verdict } from "./plan.js";

/** Prune of kind `files`: lists whose File Retention is over. */
export function planFiles(input: PlanInput, considered: (job: PlanJob) => boolean): Decision[] {
  return decide(input.jobs, considered, (job) =>
    byTime(job, "File", ruleOf(input.rules, job)?.fileRetention ?? 0, input),
  );
}

/** Purge of exactly these lists, whatever their age. */
export function planPurgeFiles(jobs: readonly PlanJob[], chosen: ReadonlySet<LocalJob>): Decision[] {
  const purged = { goes: true, reason: "goes: purged" };
  return decide(
    jobs,
    ({ id }) => chosen.has(id),
    () => purged,
  );
}

/**
 * The newest run of a job keeps its list, and so does every run that another lies over whose own list is to be here:
 * what the next backup and most restores read is at hand. Newest first, the order in which lists can go.
 */
function decide(
  jobs: readonly PlanJob[],
  considered: (job: PlanJob) => boolean,
  verdict: (job: PlanJob) => Verdict,
): Decision[] {
  const guarded = protectedRuns(jobs);
  /** By run: one whose list is here and lies over its list. */
  const needers = new Map<LocalJob, PlanJob>();
  const need = (job: PlanJob): void => {
    for (const id of [...job.parents, ...job.bases]) needers.set(id, job);
  };
  const found: Decision[] = [];
  for (const job of aboveFirst(jobs)) {
    if (isRunning(job)) need(job);
    if (!isGood(job) || job.listDropped === true) continue;
    const decision = considered(job) ? decisionOf(job, verdict(job), guarded, needers) : undefined;
    if (decision !== undefined) found.push(decision);
    if (decision?.action !== "files") need(job);
  }
  return found;
}

function decisionOf(
  job: PlanJob,
  { goes, reason }: Verdict,
  guarded: ReadonlyMap<LocalJob, string>,
  needers: ReadonlyMap<LocalJob, PlanJob>,
): Decision {
  if (!goes) return { job, action: "keep", reason, neededBy: [] };
  const guard = guarded.get(job.id);
  if (guard !== undefined) return { job, action: "keep", reason: guard, neededBy: [] };
  const needer = needers.get(job.id);
  if (needer === undefined) return { job, action: "files", reason, neededBy: [] };
  const who = `${needer.level} JobId ${needer.jobId}`;
  return { job, action: "keep", reason: `kept: ${who} lies over its list`, neededBy: [needer.jobId] };
}

/** Runs before those that they lie over. A copy or a rebased run may lie over one with a higher number. */
function aboveFirst(jobs: readonly PlanJob[]): PlanJob[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const order: PlanJob[] = [];
  const seen = new Set<LocalJob>();
  const visit = (job: PlanJob): void => {
    if (seen.has(job.id)) return;
    seen.add(job.id);
    for (const id of [...job.parents, ...job.bases]) {
      const below = byId.get(id);
      if (below !== undefined) visit(below);
    }
    order.push(job);
  };
  for (const job of [...jobs].sort((a, b) => a.id - b.id)) visit(job);
  return order.reverse();
}
