/** The two storage daemons of a Copy or Migrate run, and what they have. */

import type { CatalogJob__Output as CatalogJob } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { CatalogJobList__Output as CatalogJobList } from "../../proto/generated/basalt/v1/CatalogJobList.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { PoolResource, StorageResource } from "../config/types.js";

export interface CopyEnds {
  read: StorageResource;
  write: StorageResource;
  /** The pool that is written to. */
  pool: PoolResource;
  source: RpcChannel;
  target: RpcChannel;
  /** One daemon is both. */
  here: boolean;
}

/** Jobs in a daemon's catalog; all without `jobIds`. */
export async function jobsAt(channel: RpcChannel, jobIds: readonly number[] = []): Promise<CatalogJob[]> {
  const request = { jobIds: [...jobIds] };
  return (await channel.unary<CatalogJobList>("Storaged", "ListJobs", request)).jobs;
}

/** True for a finished job that counts. */
export function isOriginal({ status, type }: CatalogJob): boolean {
  return (status === "T" || status === "W") && type === "B";
}
