/** Jobs that a storage daemon makes out of others: what tells them from a client's backup. */

import type { ResolvedParents__Output } from "../../proto/generated/basalt/v1/ResolvedParents.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { JobKind, StoredLevel } from "../catalog/types.js";
import type { Reporter } from "./reporter.js";

export interface JobOrigin {
  /** For status displays. */
  kind: "Virtual Full" | "Copy" | "Migration";
  /** Of the state that the job holds. */
  startMs: number;
  /** (Default: when it is committed) */
  endMs?: number;
  type: JobKind;
  /** UUID; "" when it is no copy. */
  copyOf: string;
  /** UUIDs of jobs whose place its original had taken by migration, newest first. (Default: none) */
  prior?: readonly string[];
  /** JobIds whose content its rows may name. */
  draws: number[];
  /** JobIds that cannot be deleted while it runs. */
  holds: number[];
  /** Runs once the job is safe; what it throws becomes a warning. */
  committed?: (reporter: Reporter) => Promise<void>;
}

/** Names and numbers of such a job. */
export type OriginFacts = Pick<
  StorageBackup__Output,
  | "jobId"
  | "jobUuid"
  | "jobName"
  | "job"
  | "client"
  | "fileSet"
  | "fileSetDigest"
  | "pool"
  | "device"
  | "scheduledMs"
  | "comment"
>;

/** The request of a backup session whose other side is this daemon, or another storage daemon. */
export function originRequest(
  facts: OriginFacts,
  level: StoredLevel,
  parents: { chain: number[]; bases: number[] },
): StorageBackup__Output {
  const resolved: ResolvedParents__Output = {
    ...{
      level,
      upgraded: "",
      unresolvedBases: [],
      ownNewest: 0,
      sinceMs: 0,
      incompleteFiles: 0,
      baseInForce: 0,
      committed: false,
    },
    ...parents,
  };
  const wire = { ticket: "", filedAddress: "", filedPort: 0, filedTimeoutSec: 0, spread: false };
  const whole = { allowIncomplete: false, resume: false, compared: false, listsApart: false };
  return { ...facts, ...wire, ...whole, parents: resolved };
}
