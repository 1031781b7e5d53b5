/** Asks storage daemons to prune, and lets the director's records follow. */

import { nowMs } from "../../common/time.js";
import type { PruneRequest } from "../../proto/generated/basalt/v1/PruneRequest.js";
import type { RetentionReply__Output } from "../../proto/generated/basalt/v1/RetentionReply.js";
import { followReply, type RunRecords, type StorageCaller } from "./records.js";
import type { Rules } from "./rules.js";

/** What to prune: runs, only their lists, or runs on volumes whose retention is over. */
export type PruneKind = "jobs" | "files" | "volume";

/** Limits of a prune; absent: all. */
export interface PruneLimits {
  client?: string;
  jobName?: string;
  pool?: string;
  volume?: string;
}

export interface PruneCall extends PruneLimits {
  kind: PruneKind;
  rules: Rules;
  /** Tells what would be done, and does nothing. */
  dry?: boolean;
}

/** The director's time zone: days, weeks and months of a Keep begin where its operator lives. */
export function timeZone(): { utcOffsetMinutes: number; timeZone: string } {
  return {
    utcOffsetMinutes: -new Date(nowMs()).getTimezoneOffset(),
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}

/** A call as it is sent. */
export function pruneRequest(call: PruneCall): PruneRequest {
  return {
    kind: call.kind,
    rules: [...call.rules],
    client: call.client ?? "",
    jobName: call.jobName ?? "",
    pool: call.pool ?? "",
    volume: call.volume ?? "",
    dry: call.dry ?? false,
    ...timeZone(),
  };
}

/** Prunes at one storage daemon. @throws BackupError when it cannot be asked */
export async function pruneAt(
  caller: StorageCaller,
  call: PruneCall,
  { records, ...options }: { records: RunRecords; signal?: AbortSignal; timeoutMs?: number },
): Promise<RetentionReply__Output> {
  const reply = await caller.unary<RetentionReply__Output>("Storaged", "Prune", pruneRequest(call), options);
  if (call.dry !== true) await followReply(records, caller, reply);
  return reply;
}
