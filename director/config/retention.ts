/** How long runs and their file lists stay, as Job, JobDefs and Pool say it; Bareos' words for the same. */

import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import {
  type BlockOf,
  type BlockSpec,
  block,
  type Directive,
  duration,
  integer,
  yesNo,
} from "../../common/config/spec.js";
import type { KeepPolicy, RetentionPolicy } from "./types.js";

const count = () => integer(0, 100_000);

const keepDirectives = {
  last: count(),
  daily: count(),
  weekly: count(),
  monthly: count(),
  yearly: count(),
  within: duration(),
};

const KEEP_SPEC: BlockSpec<typeof keepDirectives> = {
  directives: keepDirectives,
  aliases: { Days: "daily", Weeks: "weekly", Months: "monthly", Years: "yearly" },
};

type KeepBlock = BlockOf<typeof KEEP_SPEC>;

/** `Keep: {Last: 7, Daily: 14, Within: 2 days}`; one that would keep nothing is an error. */
function keepBlock(): Directive<KeepPolicy> {
  const read = block(KEEP_SPEC);
  return (node, context) => {
    const found = read(node, context);
    if (found === undefined) return undefined;
    const policy = toKeep(found);
    // A directive of it that was wrong has been told of already.
    const faulty = node.kind === "map" && node.entries.length > Object.keys(found.values).length;
    if (keepsSomething(policy) || faulty) return policy;
    const hint = "give at least one of Last, Daily, Weekly, Monthly, Yearly, Within";
    context.diagnostics.error(node.at, `${context.directive} in ${context.place} keeps nothing: ${hint}`);
    return undefined;
  };
}

function toKeep({ values }: KeepBlock): KeepPolicy {
  return {
    last: values.last ?? 0,
    daily: values.daily ?? 0,
    weekly: values.weekly ?? 0,
    monthly: values.monthly ?? 0,
    yearly: values.yearly ?? 0,
    withinSec: values.within ?? 0,
  };
}

function keepsSomething(keep: KeepPolicy): boolean {
  return Object.values(keep).some((value) => value > 0);
}

/** Directives that Job, JobDefs and Pool share. */
export const retentionDirectives = {
  keep: keepBlock(),
  consolidate: yesNo(),
  jobRetention: duration(),
  fileRetention: duration(),
};

/** Bareos' directives of Job and JobDefs that mean a Keep with Consolidate. */
export const alwaysIncrementalDirectives = {
  alwaysIncremental: yesNo(),
  alwaysIncrementalJobRetention: duration(),
  alwaysIncrementalKeepNumber: count(),
};

interface PolicyValues {
  readonly keep?: KeepPolicy;
  readonly consolidate?: boolean;
  readonly jobRetention?: number;
  readonly fileRetention?: number;
}

interface JobPolicyValues extends PolicyValues {
  readonly alwaysIncremental?: boolean;
  readonly alwaysIncrementalJobRetention?: number;
  readonly alwaysIncrementalKeepNumber?: number;
}

/** What a resource inherits: its own way of saying how long runs stay replaces any other way of its JobDefs. */
export function inheritPolicy<V extends JobPolicyValues>(parent: V, own: V): V {
  const decided = own.keep ?? own.jobRetention ?? own.alwaysIncremental;
  if (decided === undefined) return Object.assign({}, parent, own);
  const { keep, jobRetention, alwaysIncremental, ...kept } = parent;
  return Object.assign({}, kept, own) as V;
}

/** What a resource that may stand for many jobs says; absent values are decided by the next one. */
export function toPolicy(values: PolicyValues): RetentionPolicy {
  return {
    keep: values.keep,
    consolidate: values.consolidate,
    jobRetentionSec: values.jobRetention,
    fileRetentionSec: values.fileRetention,
  };
}

/**
 * The policy of a job. `AlwaysIncremental` becomes a Keep with Consolidate: runs within
 * AlwaysIncrementalJobRetention stay, and in any case the newest AlwaysIncrementalKeepNumber; the run that is the
 * oldest kept one takes over what it needs of older ones.
 */
export function toJobPolicy(
  values: JobPolicyValues,
  { at, place }: { at: Parameters<Diagnostics["error"]>[0]; place: string },
  diagnostics: Diagnostics,
): RetentionPolicy {
  const own = toPolicy(values);
  if (values.alwaysIncremental !== true) {
    if (
      values.alwaysIncrementalJobRetention !== undefined ||
      values.alwaysIncrementalKeepNumber !== undefined
    )
      diagnostics.warning(at, `${place}: AlwaysIncremental… has no effect without AlwaysIncremental: yes`);
    return own;
  }
  if (own.keep !== undefined) {
    diagnostics.error(at, `${place} has both ${quoted("Keep")} and ${quoted("AlwaysIncremental")}; use one`);
    return own;
  }
  const withinSec = values.alwaysIncrementalJobRetention ?? 0;
  const last = values.alwaysIncrementalKeepNumber ?? 0;
  if (withinSec === 0 && last === 0) {
    const hint = "give AlwaysIncrementalJobRetention or AlwaysIncrementalKeepNumber";
    diagnostics.error(at, `AlwaysIncremental in ${place} would keep one run only; ${hint}`);
  }
  // Never less than the newest run.
  const keep = { last: Math.max(1, last), daily: 0, weekly: 0, monthly: 0, yearly: 0, withinSec };
  return { ...own, keep, consolidate: own.consolidate ?? true };
}
