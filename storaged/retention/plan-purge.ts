/** What `purge` and File Retention do with each run: pure. */

import type { LocalJob } from "../catalog/types.js";
import { close, isGood, isRunning, type PlanJob } from "./closure.js";
import { byTime, type Decision, decisions, type PlanInput, protectedRuns, ruleOf } from "./plan.js";

export interface PurgePlan {
  decisions: Decision[];
  /** Nothing may be done: decisions with action `refused` say why. */
  refused: boolean;
}

/**
 * Purge of exactly these runs, whatever their age. Without `rebase` it is refused when a staying run lies over one
 * of them; with it, those runs first get lists that stand without. Running jobs are always in the way.
 */
export function planPurge(
  jobs: readonly PlanJob[],
  chosen: ReadonlySet<LocalJob>,
  rebase: boolean,
): PurgePlan {
  const fold = { parents: rebase, bases: rebase };
  const closure = close(jobs, chosen, () => fold);
  const busy = jobs.filter((job) => chosen.has(job.id) && isRunning(job));
  const stuck = [...chosen].filter((id) => !closure.going.has(id));
  const considered = (job: PlanJob) => chosen.has(job.id);
  if (stuck.length === 0 && busy.length === 0) {
    return { decisions: decisions(jobs, closure, considered, () => "goes: purged"), refused: false };
  }
  const refused = jobs.filter(considered).map((job): Decision => {
    const needers = (closure.neededBy.get(job.id) ?? []).filter(({ id }) => !closure.going.has(id));
    const neededBy = [...new Set(needers.map(({ jobId }) => jobId))].sort((a, b) => a - b);
    return { job, action: "refused", reason: refusedText(job, needers, rebase), neededBy };
  });
  return { decisions: refused, refused: true };
}

function refusedText(job: PlanJob, needers: readonly PlanJob[], rebase: boolean): string {
  if (isRunning(job)) return "is running: cancel it first";
  const running = needers.find(isRunning);
  if (running !== undefined) return `needed by JobId ${running.jobId}, which is running: wait for its end`;
  const first = needers[0];
  if (first === undefined) return "nothing is done while others of these are needed";
  const all = needers.map(({ level, jobId }) => `${level} JobId ${jobId}`);
  const text = `needed by ${all.slice(0, 5).join(", ")}${all.length > 5 ? `, and ${all.length - 5} more` : ""}`;
  return rebase ? `${text}, whose own list is gone` : `${text}: purge those too, or rebase them`;
}

/** Prune of kind `files`: lists whose File Retention is over, of runs that nothing is built on. */
export function planFiles(input: PlanInput, considered: (job: PlanJob) => boolean): Decision[] {
  const guarded = protectedRuns(input.jobs);
  const parents = new Map<LocalJob, number>();
  for (const job of input.jobs) {
    if (isGood(job) || isRunning(job)) {
      for (const id of [...job.parents, ...job.bases]) parents.set(id, job.jobId);
    }
  }
  const found: Decision[] = [];
  for (const job of input.jobs) {
    if (!isGood(job) || !job.hasList || !considered(job)) continue;
    const rule = ruleOf(input.rules, job);
    const verdict = byTime(job, "File", rule?.fileRetention ?? 0, input);
    const needer = parents.get(job.id);
    const neededBy = needer === undefined ? [] : [needer];
    let { reason } = verdict;
    if (verdict.goes) {
      reason =
        guarded.get(job.id) ?? (needer === undefined ? reason : `kept: JobId ${needer} lies over its list`);
    }
    const goes = reason.startsWith("goes:");
    found.push({ job, action: goes ? "files" : "keep", reason, neededBy });
  }
  return found;
}
