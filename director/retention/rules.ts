/**
 * Turns the retention directives into the list of rules that a storage daemon prunes by: the first rule whose names
 * match a run decides. In rank: the Job (with its JobDefs), the Pool the run lies in, the Client. Each says how long
 * runs stay (a Keep or a time), how long file lists stay, and whether kept runs take over what they need of older
 * ones; what it leaves open is decided by the next. A run that no rule matches stays.
 */

import type { Keep } from "../../proto/generated/basalt/v1/Keep.js";
import type { PruneRule } from "../../proto/generated/basalt/v1/PruneRule.js";
import type { DirectorConfig, KeepPolicy, RetentionPolicy } from "../config/types.js";

/** The rules of a configuration; times in seconds, 0 for ever. */
export type Rules = readonly PruneRule[];

type Config = Pick<DirectorConfig, "jobs" | "pools" | "clients">;

/** All rules, most special first. */
export function pruneRules({ jobs, pools, clients }: Config): PruneRule[] {
  const rules: PruneRule[] = [];
  const ruledPools = [...pools.values()].filter(saysSomething);
  for (const job of jobs.values()) {
    if (job.type !== "Backup" || !saysSomething(job)) continue;
    // A run under another client than the job's own is rare enough to be judged by the job's.
    const client = clientPolicy(clients.get(job.client));
    const whole = isComplete(job);
    for (const pool of whole ? [] : ruledPools)
      rules.push(rule({ jobName: job.name, pool: pool.name }, [job, pool, client]));
    rules.push(rule({ jobName: job.name }, [job, client]));
  }
  for (const pool of ruledPools) {
    if (isComplete(pool)) {
      rules.push(rule({ pool: pool.name }, [pool]));
      continue;
    }
    for (const client of clients.values())
      rules.push(rule({ client: client.name, pool: pool.name }, [pool, clientPolicy(client)]));
  }
  for (const client of clients.values()) rules.push(rule({ client: client.name }, [clientPolicy(client)]));
  return rules;
}

/** The rule that decides about a run; undefined: it stays. */
export function ruleFor(
  rules: Rules,
  run: { jobName: string; client: string; pool: string },
): PruneRule | undefined {
  const fits = (wanted: string | undefined, name: string) => (wanted ?? "") === "" || wanted === name;
  return rules.find(
    (each) => fits(each.jobName, run.jobName) && fits(each.client, run.client) && fits(each.pool, run.pool),
  );
}

/** `Last 7, Daily 14`: a Keep in words. */
export function keepText(keep: Keep): string {
  const named = [
    ["Last", keep.last],
    ["Daily", keep.daily],
    ["Weekly", keep.weekly],
    ["Monthly", keep.monthly],
    ["Yearly", keep.yearly],
  ] as const;
  const parts = named.filter(([, value]) => (value ?? 0) > 0).map(([word, value]) => `${word} ${value}`);
  if (Number(keep.within ?? 0) > 0) parts.push(`Within ${keep.within} secs`);
  return parts.join(", ");
}

function saysSomething(policy: RetentionPolicy): boolean {
  const { keep, consolidate, jobRetentionSec, fileRetentionSec } = policy;
  return [keep, consolidate, jobRetentionSec, fileRetentionSec].some((each) => each !== undefined);
}

/** True when nothing is left for the next in rank. */
function isComplete(policy: RetentionPolicy): boolean {
  const lists = policy.keep !== undefined || policy.fileRetentionSec !== undefined;
  return saysHowLong(policy) && lists && policy.consolidate !== undefined;
}

function saysHowLong({ keep, jobRetentionSec }: RetentionPolicy): boolean {
  return keep !== undefined || jobRetentionSec !== undefined;
}

/** A client that is not in the configuration any more leaves its runs alone. */
function clientPolicy(client?: { jobRetentionSec: number; fileRetentionSec: number }): RetentionPolicy {
  return client ?? { jobRetentionSec: 0, fileRetentionSec: 0 };
}

function rule(
  names: { jobName?: string; client?: string; pool?: string },
  ranked: readonly RetentionPolicy[],
): PruneRule {
  const howLong = ranked.find(saysHowLong);
  // What a Keep holds keeps its list, unless FileRetention is set beside it or above.
  const ranks = howLong?.keep === undefined ? ranked : ranked.slice(0, ranked.indexOf(howLong) + 1);
  const lists = ranks.find((policy) => policy.fileRetentionSec !== undefined);
  const consolidate = ranked.find((policy) => policy.consolidate !== undefined)?.consolidate ?? false;
  return {
    jobName: names.jobName ?? "",
    client: names.client ?? "",
    pool: names.pool ?? "",
    // Beside a Keep it is for failed runs, which a Keep does not count.
    jobRetention: ranked.find((policy) => policy.jobRetentionSec !== undefined)?.jobRetentionSec ?? 0,
    fileRetention: lists?.fileRetentionSec ?? 0,
    ...(howLong?.keep === undefined ? {} : { keep: sentKeep(howLong.keep) }),
    consolidate,
  };
}

function sentKeep({ withinSec, ...counts }: KeepPolicy): Keep {
  return { ...counts, within: withinSec };
}
