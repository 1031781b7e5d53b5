/**
 * What becomes of the director's own records when a storage daemon prunes, purges, deletes or rebases runs. Always
 * the storage daemon first: a record that is left over is found again and forgotten later, a run that nobody has a
 * record of would only be found by looking.
 */

import { nowMs } from "../../common/time.js";
import type { CatalogJobList__Output } from "../../proto/generated/basalt/v1/CatalogJobList.js";
import type { RetentionReply__Output } from "../../proto/generated/basalt/v1/RetentionReply.js";
import type { DirectorConfig } from "../config/types.js";
import type { JobFilter, JobRecord } from "../db/records.js";
import { levelLetter } from "../job/register.js";
import { pruneRules, type Rules, ruleFor } from "./rules.js";

/** Calls a storage daemon; RpcChannel fits. */
export interface StorageCaller {
  unary<Reply>(
    service: "Storaged",
    method: string,
    request: object,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<Reply>;
}

/** The records of runs; JobTable fits. */
export interface RunRecords {
  get(jobId: number): JobRecord | undefined;
  list(filter?: JobFilter): JobRecord[];
  update(jobId: number, changes: Partial<JobRecord>): void;
  remove(jobIds: readonly number[]): number;
  markFilesPurged(jobIds: readonly number[]): void;
}

/** JobIds in one question to a storage daemon. */
const BATCH = 2000;

/** Runs that a reply says were changed. */
export function changedRuns(reply: RetentionReply__Output): {
  deleted: number[];
  files: number[];
  rebased: number[];
} {
  const withAction = (action: string) =>
    reply.items.filter((item) => item.action === action).map((item) => item.jobId);
  if (reply.refused) return { deleted: [], files: [], rebased: [] };
  return { deleted: withAction("delete"), files: withAction("files"), rebased: withAction("rebase") };
}

/** Makes the records agree with what a storage daemon has done; not for a dry run. */
export async function followReply(
  records: RunRecords,
  caller: StorageCaller,
  reply: RetentionReply__Output,
): Promise<void> {
  const { deleted, files, rebased } = changedRuns(reply);
  records.remove(deleted);
  records.markFilesPurged(files);
  await refreshRecords(records, caller, rebased);
}

/** Takes level and parents of runs over from the catalog: a rebase changes them. */
export async function refreshRecords(
  records: RunRecords,
  caller: StorageCaller,
  jobIds: readonly number[],
): Promise<void> {
  for (let at = 0; at < jobIds.length; at += BATCH) {
    const request = { jobIds: jobIds.slice(at, at + BATCH) };
    const { jobs } = await caller.unary<CatalogJobList__Output>("Storaged", "ListJobs", request);
    for (const job of jobs) {
      const priorJobId = job.chain.at(-1) ?? 0;
      records.update(job.jobId, { level: levelLetter(job.level), baseJobIds: [...job.bases], priorJobId });
    }
  }
}

export interface ForgetOptions {
  config: DirectorConfig;
  records: RunRecords;
  /** The daemon of a Storage resource. @throws BackupError when it cannot be reached */
  storaged: (storage: string) => Promise<StorageCaller>;
  /** Only runs that fit. */
  filter?: JobFilter;
  /** (Default: those of the configuration) */
  rules?: Rules;
  /** Nothing is removed. */
  dry?: boolean;
}

/**
 * Forgets runs whose time is up and that no storage daemon holds: failed and cancelled ones, restores, admin jobs.
 * Good backups that were let go of there without the director (for a volume that was needed) are forgotten at once,
 * unless the daemon holds none of them: then its catalog is rather lost than pruned. What a daemon that does not
 * answer may still hold stays. Returns the records.
 */
export async function forgetExpired(options: ForgetOptions): Promise<JobRecord[]> {
  const { config, records } = options;
  const rules = options.rules ?? pruneRules(config);
  const now = nowMs();
  const ended = records.list({ ...options.filter, ended: true }).filter(({ status }) => !LIVE.has(status));
  const expired = new Set(
    ended.filter((record) => isExpired(record, retentionOf(config, rules, record), now)),
  );
  const concerned = ended.filter(
    (record) => expired.has(record) || record.type === "B" || record.type === "C",
  );
  const held = await heldBy(concerned.filter(mayBeHeld), options);
  const gone = concerned.filter((record) => {
    if (!mayBeHeld(record)) return expired.has(record);
    const there = held.get(record.storage);
    if (there === undefined || there.has(record.jobId)) return false;
    return expired.has(record) || there.size > 0;
  });
  if (options.dry !== true) records.remove(gone.map((record) => record.jobId));
  return gone;
}

const LIVE: ReadonlySet<string> = new Set(["C", "R"]);

function isExpired(record: JobRecord, retentionSec: number, now: number): boolean {
  return retentionSec > 0 && record.endMs > 0 && record.endMs < now - retentionSec * 1000;
}

/** Seconds that a record without stored content stays; 0: for ever. A Keep does not count those. */
function retentionOf(config: DirectorConfig, rules: Rules, record: JobRecord): number {
  const rule = ruleFor(rules, { jobName: record.name, client: record.client, pool: record.pool });
  return rule === undefined ? config.director.statisticsRetentionSec : Number(rule.jobRetention ?? 0);
}

const OF_CONTENT: ReadonlySet<string> = new Set(["B", "C", "c", "g"]);

/** Whether a storage daemon may hold content under this number. */
function mayBeHeld({ type, status }: JobRecord): boolean {
  return OF_CONTENT.has(type) && (status === "T" || status === "W");
}

/** Those of `found` that no storage daemon holds, as far as can be found out. */
export async function notHeld(
  found: readonly JobRecord[],
  options: Pick<ForgetOptions, "config" | "storaged">,
): Promise<JobRecord[]> {
  const held = await heldBy(found.filter(mayBeHeld), options);
  return found.filter((record) => {
    if (!mayBeHeld(record)) return true;
    const there = held.get(record.storage);
    return there !== undefined && !there.has(record.jobId);
  });
}

/** JobIds that the daemons of the records' Storage resources hold; those that do not answer are missing. */
async function heldBy(
  records: readonly JobRecord[],
  { config, storaged }: Pick<ForgetOptions, "config" | "storaged">,
): Promise<Map<string, Set<number>>> {
  const byStorage = new Map<string, JobRecord[]>();
  for (const record of records) {
    if (!config.storages.has(record.storage)) continue;
    const group = byStorage.get(record.storage);
    if (group === undefined) byStorage.set(record.storage, [record]);
    else group.push(record);
  }
  const found = new Map<string, Set<number>>();
  for (const [storage, group] of byStorage) {
    const held = await heldAt(storage, group, storaged);
    if (held !== undefined) found.set(storage, held);
  }
  return found;
}

async function heldAt(
  storage: string,
  group: readonly JobRecord[],
  storaged: ForgetOptions["storaged"],
): Promise<Set<number> | undefined> {
  try {
    const caller = await storaged(storage);
    const held = new Set<number>();
    for (let at = 0; at < group.length; at += BATCH) {
      const request = { jobIds: group.slice(at, at + BATCH).map((record) => record.jobId) };
      const { jobs } = await caller.unary<CatalogJobList__Output>("Storaged", "ListJobs", request);
      for (const job of jobs) held.add(job.jobId);
    }
    return held;
  } catch {
    return undefined;
  }
}
