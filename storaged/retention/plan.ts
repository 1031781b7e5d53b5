/**
 * What `prune` does with each run, and why: pure. A run goes when the first rule that fits it says so and no staying
 * run needs it; the newest good run of a job, and the newest Base that is in force, stay whatever their age.
 */

import { formatDuration } from "../../common/units.js";
import type { LocalJob } from "../catalog/types.js";
import type { Periods } from "./calendar.js";
import { type Closure, close, isRunning, isWhole, type PlanJob, type Rebase } from "./closure.js";
import { type KeepPolicy, wantedRuns, wantsAnything } from "./keep.js";

/** Names "": any. Times in seconds, 0: for ever. */
export interface PruneRule {
  jobName: string;
  client: string;
  pool: string;
  jobRetention: number;
  fileRetention: number;
  /** Outranks jobRetention. */
  keep?: KeepPolicy | undefined;
  /** What kept runs need of older ones is folded into them. */
  consolidate: boolean;
}

export interface PlanInput {
  /** All runs of the catalog, running ones too. */
  jobs: readonly PlanJob[];
  rules: readonly PruneRule[];
  nowMs: number;
  periodsOf: (timeMs: number) => Periods;
}

export interface Decision {
  job: PlanJob;
  action: "delete" | "rebase" | "files" | "keep" | "refused";
  /** One line. */
  reason: string;
  /** JobIds. */
  neededBy: number[];
  /** With action `rebase`: what the list is to stand on. */
  rebase?: Rebase;
}

/** What a rule says about one run, before others are looked at. */
export interface Verdict {
  goes: boolean;
  reason: string;
}

export function ruleOf(rules: readonly PruneRule[], job: PlanJob): PruneRule | undefined {
  const fits = (wanted: string, name: string) => wanted === "" || wanted === name;
  return rules.find(
    (rule) => fits(rule.jobName, job.jobName) && fits(rule.client, job.client) && fits(rule.pool, job.pool),
  );
}

/** Runs of one job, client, FileSet and type follow each other; an incomplete one is a backup too. */
const lineageOf = ({ jobName, client, fileSet, type }: PlanJob): string =>
  JSON.stringify([jobName, client, fileSet, type === "I" ? "B" : type]);

/** Runs that only `purge` and `delete` remove, with the reason. */
export function protectedRuns(jobs: readonly PlanJob[]): Map<LocalJob, string> {
  const newest = new Map<string, PlanJob>();
  for (const job of jobs.filter(isWhole)) {
    const keys = [`run ${lineageOf(job)}`];
    if (job.level === "Base") keys.push(`base ${JSON.stringify([job.jobName, job.type])}`);
    for (const key of keys) {
      const known = newest.get(key);
      if (known === undefined || isLater(job, known)) newest.set(key, job);
    }
  }
  const reasons = new Map<LocalJob, string>();
  for (const [key, { id }] of newest) {
    const what = key.startsWith("run ") ? "kept: newest good run of its job" : "kept: newest Base of its job";
    if (!reasons.has(id)) reasons.set(id, what);
  }
  for (const { id, busy } of jobs) {
    if (busy !== undefined) reasons.set(id, `kept: JobId ${busy}, which is running, works with its list`);
  }
  return reasons;
}

function isLater(a: PlanJob, b: PlanJob): boolean {
  return a.startMs > b.startMs || (a.startMs === b.startMs && a.id > b.id);
}

/** Runs that keep-policies want, with the reason, and by lineage the start of the oldest of them. */
function policyRuns({ jobs, rules, nowMs, periodsOf }: PlanInput) {
  const wanted = new Map<LocalJob, string>();
  const oldest = new Map<string, number>();
  const lineages = new Map<string, PlanJob[]>();
  for (const job of jobs.filter(isWhole)) {
    const key = lineageOf(job);
    const runs = lineages.get(key);
    if (runs === undefined) lineages.set(key, [job]);
    else runs.push(job);
  }
  for (const [key, runs] of lineages) {
    // Runs of one job may lie in several pools with different rules; each rule counts all of them.
    const policies = new Map(runs.map((job) => [ruleOf(rules, job), job]));
    for (const rule of policies.keys()) {
      if (rule === undefined || !wantsAnything(rule.keep)) continue;
      for (const [id, reason] of wantedRuns(runs, rule.keep, periodsOf, nowMs)) {
        const job = runs.find((run) => run.id === id)!;
        if (ruleOf(rules, job) !== rule) continue;
        wanted.set(id, `kept: ${reason}`);
        oldest.set(key, Math.min(oldest.get(key) ?? job.startMs, job.startMs));
      }
    }
  }
  return { wanted, oldest };
}

/** What time and policy say about every run that is not running. */
export function verdicts(input: PlanInput): Map<LocalJob, Verdict> {
  const { wanted, oldest } = policyRuns(input);
  const found = new Map<LocalJob, Verdict>();
  for (const job of input.jobs) {
    if (isRunning(job)) continue;
    const rule = ruleOf(input.rules, job);
    if (rule === undefined) found.set(job.id, { goes: false, reason: "kept: no rule says when it may go" });
    else if (!wantsAnything(rule.keep)) found.set(job.id, byTime(job, "Job", rule.jobRetention, input));
    else if (isWhole(job)) {
      const reason = wanted.get(job.id);
      const unwanted = { goes: true, reason: `goes: not among ${policyText(rule.keep)}` };
      found.set(job.id, reason === undefined ? unwanted : { goes: false, reason });
    } else found.set(job.id, failedUnderPolicy(job, rule, oldest.get(lineageOf(job)), input));
  }
  return found;
}

/** A failed run's record, or an incomplete one: after its Job Retention, or as soon as it is older than everything that is kept. */
function failedUnderPolicy(
  job: PlanJob,
  rule: PruneRule,
  oldestMs: number | undefined,
  input: PlanInput,
): Verdict {
  if (rule.jobRetention > 0) return byTime(job, "Job", rule.jobRetention, input);
  const how = job.type === "I" ? "incomplete" : "failed";
  if (oldestMs === undefined || job.startMs >= oldestMs) {
    return { goes: false, reason: `kept: ${how}, and not older than what is kept` };
  }
  return { goes: true, reason: `goes: ${how}, and older than what is kept` };
}

/** `what`: Job or File Retention. */
export function byTime(
  job: PlanJob,
  what: "Job" | "File",
  retention: number,
  { nowMs, periodsOf }: Pick<PlanInput, "nowMs" | "periodsOf">,
): Verdict {
  if (retention <= 0) return { goes: false, reason: `kept: ${what} Retention = for ever` };
  const limit = `${what} Retention = ${spanText(retention)}`;
  // A job that a former process left without an end began at least.
  const endMs = job.endMs > 0 ? job.endMs : job.startMs;
  if (endMs + retention * 1000 > nowMs) return { goes: false, reason: `kept: younger than ${limit}` };
  return { goes: true, reason: `goes: ended ${periodsOf(endMs).day}, ${limit}` };
}

const DAY_SECONDS = 86_400;

/** `60 days`, `2 hours`. */
export function spanText(seconds: number): string {
  if (seconds % DAY_SECONDS !== 0 || seconds === 0) return formatDuration(seconds);
  const days = seconds / DAY_SECONDS;
  return `${days} day${days === 1 ? "" : "s"}`;
}

/** `last 7, daily 14`. */
function policyText(policy: KeepPolicy): string {
  const { within, ...counts } = policy;
  const words = Object.entries(counts).filter(([, value]) => value > 0);
  const texts = words.map(([word, value]) => `${word} ${value}`);
  if (within > 0) texts.push(`within ${spanText(within)}`);
  return texts.join(", ");
}

/** Prune of kind `jobs`: runs whose time is up. `considered` limits which runs may go. */
export function planJobs(input: PlanInput, considered: (job: PlanJob) => boolean): Decision[] {
  return settle(input, verdicts(input), considered);
}

/**
 * Prune of kind `volume`: runs on volumes whose retention is over go whatever their Job Retention; what a
 * keep-policy wants stays. `expired`: volume number to its name and reason.
 */
export function planVolumes(
  input: PlanInput,
  expired: ReadonlyMap<number, string>,
  considered: (job: PlanJob) => boolean,
): Decision[] {
  const { wanted } = policyRuns(input);
  const found = new Map<LocalJob, Verdict>();
  for (const job of input.jobs) {
    if (isRunning(job)) continue;
    const on = job.volumes.find((volume) => expired.has(volume));
    const reason = wanted.get(job.id);
    if (on === undefined)
      found.set(job.id, { goes: false, reason: "kept: not on a Volume whose time is up" });
    else if (reason !== undefined) found.set(job.id, { goes: false, reason });
    else found.set(job.id, { goes: true, reason: `goes: ${expired.get(on)}` });
  }
  const onExpired = (job: PlanJob) => considered(job) && job.volumes.some((volume) => expired.has(volume));
  return settle(input, found, onExpired);
}

/** Applies protection and dependants to what rules said. */
function settle(
  input: PlanInput,
  said: ReadonlyMap<LocalJob, Verdict>,
  considered: (job: PlanJob) => boolean,
): Decision[] {
  const guarded = protectedRuns(input.jobs);
  const wanted = new Set<LocalJob>();
  for (const job of input.jobs) {
    if (considered(job) && said.get(job.id)?.goes === true && !guarded.has(job.id)) wanted.add(job.id);
  }
  const closure = close(input.jobs, wanted, (job) => ({
    // A Base is shared by many: folding it into each would store its list once for every one of them.
    parents: ruleOf(input.rules, job)?.consolidate === true,
    bases: false,
  }));
  return decisions(input.jobs, closure, considered, (job) => {
    const verdict = said.get(job.id)!;
    return verdict.goes ? (guarded.get(job.id) ?? verdict.reason) : verdict.reason;
  });
}

/** One decision per considered run, and one for each that is rebased; in the order of their numbers. */
export function decisions(
  jobs: readonly PlanJob[],
  { going, neededBy, rebases }: Closure,
  considered: (job: PlanJob) => boolean,
  reasonOf: (job: PlanJob) => string,
): Decision[] {
  const rebaseOf = new Map(rebases.map((rebase) => [rebase.job.id, rebase]));
  const found: Decision[] = [];
  for (const job of jobs) {
    const rebase = rebaseOf.get(job.id);
    if (isRunning(job) || (rebase === undefined && !considered(job))) continue;
    const needers = neededBy.get(job.id) ?? [];
    const facts = { job, neededBy: needers.map(({ jobId }) => jobId) };
    if (going.has(job.id)) found.push({ ...facts, action: "delete", reason: reasonOf(job) });
    else if (rebase !== undefined) {
      found.push({ ...facts, action: "rebase", reason: rebaseText(rebase, jobs), rebase });
    } else {
      const reason = reasonOf(job);
      const own = reason.startsWith("kept:");
      found.push({ ...facts, action: "keep", reason: own ? reason : neededText(needers) });
    }
  }
  return found.sort((a, b) => a.job.id - b.job.id);
}

function rebaseText({ folds }: Rebase, jobs: readonly PlanJob[]): string {
  const numbers = folds.map((id) => jobs.find((other) => other.id === id)?.jobId ?? 0);
  return `kept: takes over what it needs of JobId ${numbers.join(", ")}`;
}

/** `kept: Incremental JobId 12 needs it` */
export function neededText(needers: readonly PlanJob[]): string {
  const [first, ...more] = [...needers].sort((a, b) => a.id - b.id);
  if (first === undefined) return "kept";
  const who = isRunning(first)
    ? `JobId ${first.jobId}, which is running,`
    : `${first.level} JobId ${first.jobId}`;
  return `kept: ${who} needs it${more.length === 0 ? "" : `, and ${more.length} more`}`;
}
