/** What `purge` does with each run: pure. */

import type { LocalJob } from "../catalog/types.js";
import { close, isRunning, type PlanJob } from "./closure.js";
import { type Decision, decisions } from "./plan.js";

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
