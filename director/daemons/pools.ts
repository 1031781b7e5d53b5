/** Pool resources as the storage daemons keep them. */

import type { Pool } from "../../proto/generated/basalt/v1/Pool.js";
import type { PoolList } from "../../proto/generated/basalt/v1/PoolList.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { DirectorConfig, PoolResource } from "../config/types.js";
import { timeZone } from "../retention/prune.js";
import { pruneRules } from "../retention/rules.js";

/** The wire form of a Pool resource. */
export function toSentPool(pool: PoolResource): Pool {
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
    recycleOldestVolume: pool.recycleOldestVolume,
    recycleCurrentVolume: pool.recycleCurrentVolume,
    purgeOldestVolume: pool.purgeOldestVolume,
    truncateOnPurge: pool.truncateOnPurge,
  };
}

/** What a storage daemon keeps of this configuration: the pools in the order of the file, and what pruning goes by. */
export function toPoolList(config: DirectorConfig): PoolList {
  return {
    pools: [...config.pools.values()].map(toSentPool),
    counters: [...(config.counters?.values() ?? [])].map(({ name, minimum, maximum, wrapCounter }) => ({
      ...{ name, minimum, maximum },
      wrapCounter: wrapCounter ?? "",
    })),
    rules: pruneRules(config),
    ...timeZone(),
  };
}

/** Gives a storage daemon the pools and retention rules of this configuration. */
export async function syncPools(channel: RpcChannel, config: DirectorConfig): Promise<void> {
  await channel.unary("Storaged", "SyncPools", toPoolList(config));
}
