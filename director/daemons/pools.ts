/** Pool resources as the storage daemons keep them. */

import type { Pool } from "../../proto/generated/basalt/v1/Pool.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { DirectorConfig, PoolResource } from "../config/types.js";

function toSentPool(pool: PoolResource): Pool {
  return {
    name: pool.name,
    poolType: pool.poolType,
    deduplicate: pool.deduplicate,
    maximumVolumes: pool.maximumVolumes,
    maximumVolumeBytes: pool.maximumVolumeBytes,
    maximumVolumeJobs: pool.maximumVolumeJobs,
    volumeUseDuration: pool.volumeUseDurationSec,
    volumeRetention: pool.volumeRetentionSec,
    autoPrune: pool.autoPrune,
    recycle: pool.recycle,
    labelFormat: pool.labelFormat ?? "",
    scratchPool: pool.scratchPool ?? "",
    recyclePool: pool.recyclePool ?? "",
    dedupScope: pool.dedupScope,
    nextPool: pool.nextPool ?? "",
  };
}

/** Gives a storage daemon the pools of this configuration, in the order of the file. */
export async function syncPools(channel: RpcChannel, config: DirectorConfig): Promise<void> {
  const pools = [...config.pools.values()].map(toSentPool);
  await channel.unary("Storaged", "SyncPools", { pools });
}
