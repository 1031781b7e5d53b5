/**
 * When a run of a lower level becomes one of a higher level, by the director's own records: MaxFullInterval,
 * MaxVirtualFullInterval, MaxDiffInterval, RerunFailedLevels. That there is no Full at all is found out by the storage
 * daemon.
 */

import { nowMs } from "../../common/time.js";
import type { JobLevel, JobResource } from "../config/types.js";
import type { JobRecord, LevelLetter } from "../db/records.js";
import type { JobRun } from "./job-run.js";

type Rules = Pick<
  JobResource,
  "maxFullIntervalSec" | "maxDiffIntervalSec" | "maxVirtualFullIntervalSec" | "rerunFailedLevels"
>;

/** A run of the same job, client and FileSet. */
export type PriorRun = Pick<JobRecord, "level" | "status" | "startMs" | "endMs">;

export interface Raised {
  level: JobLevel;
  /** What the job says about it. */
  text: string;
}

const RANK: Partial<Record<LevelLetter, number>> = { I: 1, D: 2, F: 3 };
const NAMES: Partial<Record<LevelLetter, JobLevel>> = { I: "Incremental", D: "Differential", F: "Full" };

const isGood = ({ status }: PriorRun): boolean => status === "T" || status === "W";
const isFull = ({ level }: PriorRun): boolean => level === "F" || level === "f";

/** The level that a run of `level` gets instead; undefined when it stays. `prior`: runs that ended, in any order. */
export function raisedLevel(
  level: JobLevel,
  rules: Rules,
  prior: readonly PriorRun[],
  now: number,
): Raised | undefined {
  if (level !== "Incremental" && level !== "Differential") return undefined;
  const lastFull = newestStart(prior.filter((run) => isGood(run) && isFull(run)));
  if (lastFull === undefined) return undefined;
  const isOld = (startMs: number, limitSec: number) => limitSec > 0 && now - startMs >= limitSec * 1000;
  if (isOld(lastFull, rules.maxFullIntervalSec)) return noSuitable("Full", "FULL");
  if (rules.maxFullIntervalSec === 0 && isOld(lastFull, rules.maxVirtualFullIntervalSec))
    return { ...noSuitable("Full", "Virtual FULL"), level: "VirtualFull" };
  if (level === "Incremental") {
    const lastDiff = newestStart(prior.filter((run) => isGood(run) && run.level === "D")) ?? lastFull;
    if (isOld(Math.max(lastDiff, lastFull), rules.maxDiffIntervalSec))
      return noSuitable("Differential", "Differential");
  }
  return rules.rerunFailedLevels ? failedSince(level, prior) : undefined;
}

function noSuitable(level: JobLevel, doing: string): Raised {
  return { level, text: `No prior or suitable ${level} backup found in catalog. Doing ${doing} backup.` };
}

/** The highest level that failed since the last good run, when it is above this one. */
function failedSince(level: JobLevel, prior: readonly PriorRun[]): Raised | undefined {
  const lastGood = Math.max(0, ...prior.filter(isGood).map((run) => run.endMs));
  let highest: LevelLetter = level === "Incremental" ? "I" : "D";
  for (const run of prior) {
    const failed = ["E", "f", "A"].includes(run.status) && run.endMs > lastGood;
    if (failed && (RANK[run.level] ?? 0) > RANK[highest]!) highest = run.level;
  }
  const raised = NAMES[highest];
  if (raised === undefined || raised === level) return undefined;
  return { level: raised, text: `Prior failed job found in catalog. Upgrading to ${raised}.` };
}

function newestStart(runs: readonly PriorRun[]): number | undefined {
  return runs.length === 0 ? undefined : Math.max(...runs.map((run) => run.startMs));
}

/** Raises the level of a run that begins, with Bacula's words about it; the level that it has now. */
export function raiseLevel(run: JobRun): JobLevel {
  const { live, plan, services } = run;
  const { job } = plan;
  const asks =
    job.rerunFailedLevels ||
    job.maxFullIntervalSec + job.maxDiffIntervalSec + job.maxVirtualFullIntervalSec > 0;
  if (!asks || plan.request.resume === true) return live.level;
  const prior = services.db.jobs.list({
    ...{ name: job.name, client: plan.client?.name ?? "", fileSet: plan.fileSet?.name ?? "" },
    ...{ type: "B", ended: true, order: "desc", limit: MAX_PRIOR },
  });
  const raised = raisedLevel(live.level, job, prior, nowMs());
  if (raised === undefined) return live.level;
  run.info(raised.text);
  live.level = raised.level;
  return raised.level;
}

/** Runs looked at; older ones decide nothing. */
const MAX_PRIOR = 1000;
