/** Between the catalog's values and the messages of proto/storaged.proto. */

import { ENTRY_TYPE_WORDS } from "../common/format/entry-words.js";
import { keyToPath, pathToKey } from "../common/format/path.js";
import type { CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { Counter__Output } from "../proto/generated/basalt/v1/Counter.js";
import type { Entry } from "../proto/generated/basalt/v1/Entry.js";
import type { Pool, Pool__Output } from "../proto/generated/basalt/v1/Pool.js";
import type { SelectionRule__Output } from "../proto/generated/basalt/v1/SelectionRule.js";
import type { Volume } from "../proto/generated/basalt/v1/Volume.js";
import type { ListedEntry, SelectionRule } from "./catalog/listing-types.js";
import type { JobListing, PoolRecord, VolumeRecord } from "./catalog/types.js";
import { asBuffer } from "./catalog/worker-rpc.js";
import type { CounterDefinition } from "./catalog/writer-counters.js";
import type { PoolDefinition } from "./catalog/writer-pools.js";

const bytes = (text: string) => Buffer.from(text, "latin1");

/** Key of a path from the wire. */
export function keyOf(path: Buffer): string {
  return pathToKey(path.toString("latin1"));
}

export function toEntry(entry: ListedEntry): Entry {
  const { mode, uid, gid, size, mtimeSec, mtimeNsec, jobId, marked, flags, content, group } = entry;
  return {
    path: bytes(keyToPath(entry.key)),
    type: ENTRY_TYPE_WORDS[entry.type] ?? "file",
    mode,
    uid,
    gid,
    size,
    mtimeSec,
    mtimeNsec,
    target: bytes(entry.target),
    jobId,
    marked,
    flags,
    ...(content === undefined ? {} : { content: asBuffer(content) }),
    ...(group === undefined ? {} : { group: bytes(keyToPath(group)) }),
    ...(entry.row === undefined ? {} : { row: entry.row, turn: entry.turn ?? 0 }),
  };
}

export function toRules(rules: readonly SelectionRule__Output[]): SelectionRule[] {
  return rules.map(({ path, include, recursive }) => ({ key: keyOf(path), include, recursive }));
}

export function toJob(job: JobListing): CatalogJob {
  const { jobId, uuid, jobName, client, fileSet, level, status, startMs, endMs, files, rows, baseFiles } =
    job;
  const facts = {
    jobId,
    uuid,
    jobName,
    client,
    fileSet,
    level,
    status,
    startMs,
    endMs,
    files,
    rows,
    baseFiles,
  };
  const { copyOf, chain, needs, fileSetDigest, scheduledMs, comment, reason } = job;
  const incomplete = job.type === "I";
  const type = incomplete ? "B" : job.type;
  const more = { type, copyOf, chain, needs, fileSetDigest, scheduledMs, comment, reason };
  const { bases, pool, volumes, extents } = job;
  return {
    ...facts,
    ...more,
    status: incomplete ? "I" : status,
    job: job.job,
    bytes: job.bytes,
    bases,
    pool,
    volumes,
    extents,
  };
}

export function toVolume(volume: VolumeRecord): Volume {
  const { name, status, enabled, retention, recycle, slot, inChanger, mediaType, jobs, useDuration } = volume;
  return {
    ...{
      mediaId: volume.id,
      name,
      status,
      enabled,
      retention,
      recycle,
      slot,
      inChanger,
      mediaType,
      jobs,
      useDuration,
    },
    bytes: volume.bytes,
    // Bacula counts file marks here, one a GB or so on disk; a volume of Basalt has none.
    files: volume.firstWrittenMs > 0 ? 1 : 0,
    firstWrittenMs: volume.firstWrittenMs,
    lastWrittenMs: volume.lastWrittenMs,
    pool: volume.poolName,
    maxJobs: volume.maxJobs,
    maxBytes: volume.maxBytes,
    labelMs: volume.labelMs,
    blocks: volume.frames,
    errors: volume.errors,
    device: volume.device,
    recycles: volume.recycles,
    recyclePool: volume.recyclePool,
    truncateOnPurge: volume.truncateOnPurge,
    liveBytes: volume.liveBytes,
    measuredMs: volume.measuredMs,
  };
}

export function toPool(pool: PoolRecord): Pool {
  const { id, ...rest } = pool;
  return { ...rest, poolId: id };
}

/** A counter as the director sent it. */
export function fromCounter({ name, minimum, maximum, wrapCounter }: Counter__Output): CounterDefinition {
  return { name: name.toLowerCase(), minimum, maximum, wrapCounter: wrapCounter.toLowerCase() };
}

/** A pool as the director sent it. */
export function fromPool(pool: Pool__Output): PoolDefinition {
  return {
    name: pool.name,
    poolType: pool.poolType || "Backup",
    deduplicate: pool.deduplicate,
    dedupScope: pool.dedupScope === "client" ? "client" : "pool",
    maximumVolumes: pool.maximumVolumes,
    maximumVolumeBytes: pool.maximumVolumeBytes,
    maximumVolumeJobs: pool.maximumVolumeJobs,
    volumeUseDuration: pool.volumeUseDuration,
    volumeRetention: pool.volumeRetention,
    autoPrune: pool.autoPrune,
    recycle: pool.recycle,
    labelFormat: pool.labelFormat,
    scratchPool: pool.scratchPool,
    recyclePool: pool.recyclePool,
    nextPool: pool.nextPool,
    recycleOldestVolume: pool.recycleOldestVolume,
    recycleCurrentVolume: pool.recycleCurrentVolume,
    purgeOldestVolume: pool.purgeOldestVolume,
    truncateOnPurge: pool.truncateOnPurge,
  };
}
