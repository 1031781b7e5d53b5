/** Which runs a keep-policy wants: pure, over the runs of one job, client and FileSet. */

import type { Periods } from "./calendar.js";

/** Counts; 0: this one keeps nothing. */
export interface KeepPolicy {
  last: number;
  daily: number;
  weekly: number;
  monthly: number;
  yearly: number;
  /** Seconds: every run not older than this. */
  within: number;
}

/** A successful run. */
export interface KeepRun {
  id: number;
  startMs: number;
}

const BY_PERIOD = [
  ["daily", "day"],
  ["weekly", "week"],
  ["monthly", "month"],
  ["yearly", "year"],
] as const;

/**
 * Why each wanted run is wanted, such as `last 2 of 7, monthly 1 of 12`. Of each period the last run counts; periods
 * without a run do not count.
 */
export function wantedRuns(
  runs: readonly KeepRun[],
  policy: KeepPolicy,
  periodsOf: (timeMs: number) => Periods,
  nowMs: number,
): Map<number, string> {
  const newestFirst = [...runs].sort((a, b) => b.startMs - a.startMs || b.id - a.id);
  const reasons = new Map<number, string[]>();
  const want = (run: KeepRun, reason: string): void => {
    const known = reasons.get(run.id);
    if (known === undefined) reasons.set(run.id, [reason]);
    else known.push(reason);
  };
  for (const [at, run] of newestFirst.slice(0, policy.last).entries()) {
    want(run, `last ${at + 1} of ${policy.last}`);
  }
  for (const [word, period] of BY_PERIOD) {
    const seen = new Set<string>();
    for (const run of newestFirst) {
      if (seen.size >= policy[word]) break;
      const name = periodsOf(run.startMs)[period];
      if (seen.has(name)) continue;
      seen.add(name);
      want(run, `${word} ${seen.size} of ${policy[word]}`);
    }
  }
  for (const run of newestFirst) {
    if (policy.within > 0 && run.startMs >= nowMs - policy.within * 1000) want(run, "within");
  }
  return new Map([...reasons].map(([id, texts]) => [id, texts.join(", ")]));
}

/** True when a policy wants anything at all. */
export function wantsAnything(policy: KeepPolicy | undefined): policy is KeepPolicy {
  return policy !== undefined && Object.values(policy).some((value) => value > 0);
}
