/** Reads pool and volume records. */

import type { Db } from "./schema.js";
import type { PoolRecord, VolumeRecord } from "./types.js";

const POOL = `SELECT p.*, (SELECT count(*) FROM volume v WHERE v.pool = p.id) AS volumes FROM pool p`;
const VOLUME = "SELECT v.*, p.name AS pool_name FROM volume v JOIN pool p ON p.id = v.pool";

type Raw = Record<string, number | string>;

export function poolByName(db: Db, name: string): PoolRecord | undefined {
  const raw = db.prepare<[string], Raw>(`${POOL} WHERE p.name = ?`).get(name);
  return raw === undefined ? undefined : toPool(raw);
}

/** All pools by name, or the one named. */
export function listPools(db: Db, name = ""): PoolRecord[] {
  const all = db.prepare<[], Raw>(`${POOL} ORDER BY p.name`).all().map(toPool);
  return name === "" ? all : all.filter((pool) => pool.name === name);
}

export function volumeById(db: Db, id: number): VolumeRecord | undefined {
  const raw = db.prepare<[number], Raw>(`${VOLUME} WHERE v.id = ?`).get(id);
  return raw === undefined ? undefined : toVolume(raw);
}

/** Volumes in the order of their numbers; empty strings: all. */
export function listVolumes(db: Db, pool: string, volume: string): VolumeRecord[] {
  // A condition that is not there leaves SQLite free to use the other one's index.
  const conditions = [
    ...(pool === "" ? [] : ["p.name = @pool"]),
    ...(volume === "" ? [] : ["v.name = @volume"]),
  ];
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  return db
    .prepare<{ pool: string; volume: string }, Raw>(`${VOLUME} ${where} ORDER BY v.id`)
    .all({ pool, volume })
    .map(toVolume);
}

function toPool(raw: Raw): PoolRecord {
  return {
    id: Number(raw.id),
    name: String(raw.name),
    poolType: String(raw.pool_type),
    deduplicate: raw.deduplicate === 1,
    dedupScope: raw.dedup_scope === "client" ? "client" : "pool",
    maximumVolumes: Number(raw.maximum_volumes),
    maximumVolumeBytes: Number(raw.maximum_volume_bytes),
    maximumVolumeJobs: Number(raw.maximum_volume_jobs),
    volumeUseDuration: Number(raw.volume_use_duration),
    volumeRetention: Number(raw.volume_retention),
    autoPrune: raw.auto_prune === 1,
    recycle: raw.recycle === 1,
    labelFormat: String(raw.label_format),
    scratchPool: String(raw.scratch_pool),
    recyclePool: String(raw.recycle_pool),
    nextPool: String(raw.next_pool),
    recycleOldestVolume: raw.recycle_oldest_volume === 1,
    recycleCurrentVolume: raw.recycle_current_volume === 1,
    purgeOldestVolume: raw.purge_oldest_volume === 1,
    truncateOnPurge: raw.truncate_on_purge === 1,
    volumes: Number(raw.volumes),
  };
}

function toVolume(raw: Raw): VolumeRecord {
  return {
    id: Number(raw.id),
    name: String(raw.name),
    pool: Number(raw.pool),
    poolName: String(raw.pool_name),
    mediaType: String(raw.media_type),
    device: String(raw.device),
    status: String(raw.status),
    enabled: raw.enabled === 1,
    bytes: Number(raw.bytes),
    frames: Number(raw.frames),
    jobs: Number(raw.jobs),
    errors: Number(raw.errors),
    labelMs: Number(raw.label_ms),
    firstWrittenMs: Number(raw.first_written_ms),
    lastWrittenMs: Number(raw.last_written_ms),
    retention: Number(raw.retention),
    recycle: raw.recycle === 1,
    maxBytes: Number(raw.max_bytes),
    maxJobs: Number(raw.max_jobs),
    useDuration: Number(raw.use_duration),
    slot: Number(raw.slot),
    inChanger: raw.in_changer === 1,
    uuid: String(raw.uuid),
    recordEnd: Number(raw.record_end),
    recycles: Number(raw.recycles),
    truncateOnPurge: raw.truncate_on_purge === 1,
    recyclePool: String(raw.recycle_pool),
    liveBytes: Number(raw.live_bytes),
    measuredMs: Number(raw.measured_ms),
  };
}

/** No finished job is in it. */
export function poolIsEmpty(db: Db, pool: number): boolean {
  const found = db.prepare("SELECT 1 FROM job WHERE pool = ? AND dirty = 0 AND status IN ('T', 'W')");
  return found.get(pool) === undefined;
}
