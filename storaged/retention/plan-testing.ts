/** What the tests of the plans share: histories in short, and what was decided about them. */
import { calendarOf } from "./calendar.js";
import type { PlanJob } from "./closure.js";
import type { KeepPolicy } from "./keep.js";
import type { Decision, PlanInput, PruneRule } from "./plan.js";

export const DAY = 86_400;
export const NOW = Date.UTC(2026, 9, 1, 12);
export const UTC = calendarOf({ timeZone: "UTC", utcOffsetMinutes: 0 });
export const NOTHING: KeepPolicy = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, within: 0 };
export const RULE: PruneRule = {
  ...{
    jobName: "",
    client: "",
    pool: "",
    jobRetention: 60 * DAY,
    fileRetention: 30 * DAY,
    consolidate: false,
  },
};

/** A run that ended `daysAgo`. */
export function run(id: number, daysAgo: number, more: Partial<PlanJob> = {}): PlanJob {
  const endMs = NOW - daysAgo * DAY * 1000;
  return {
    ...{ id, jobId: id + 100, job: `vm.${id}`, jobName: "vm", client: "c", fileSet: "All", level: "Full" },
    ...{ type: "B", status: "T", pool: "P", startMs: endMs - 60_000, endMs, bytes: 1, hasList: true },
    ...{ parents: [], bases: [], volumes: [1], needs: [1] },
    ...more,
  };
}

export const input = (jobs: PlanJob[], rule: Partial<PruneRule> = {}): PlanInput => ({
  ...{ jobs, rules: [{ ...RULE, ...rule }], nowMs: NOW, periodsOf: UTC },
});
export const all = () => true;
export const told = (decisions: readonly Decision[]) =>
  decisions.map(({ job, action, reason }) => [job.id, action, reason]);
