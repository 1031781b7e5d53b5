/** Pool and volume records, on the writing thread. */

import { BackupError } from "../../common/errors.js";
import { listPools, poolByName, volumeById } from "./pool-queries.js";
import { type Db, durably } from "./schema.js";
import type { NewVolume, PoolRecord, VolumeRecord } from "./types.js";
import type { Contexts } from "./writer-context.js";

/** A pool as the director defines it. */
export type PoolDefinition = Omit<PoolRecord, "id" | "volumes">;

export class PoolStore {
  readonly #db: Db;
  readonly #contexts: Contexts;

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
  }

  /** Makes or updates the records of these pools; others stay. Volumes keep their own limits. */
  sync(pools: readonly PoolDefinition[]): PoolRecord[] {
    const columns = `name, pool_type, deduplicate, dedup_scope, maximum_volumes, maximum_volume_bytes,
      maximum_volume_jobs, volume_use_duration, volume_retention, auto_prune, recycle, label_format, scratch_pool,
      recycle_pool, next_pool, recycle_oldest_volume, recycle_current_volume, purge_oldest_volume,
      truncate_on_purge`;
    const names = columns.split(",").map((name) => name.trim());
    const upsert =
      this.#db.prepare(`INSERT INTO pool(${columns}) VALUES (@name, @poolType, @deduplicate, @dedupScope,
      @maximumVolumes, @maximumVolumeBytes, @maximumVolumeJobs, @volumeUseDuration, @volumeRetention, @autoPrune,
      @recycle, @labelFormat, @scratchPool, @recyclePool, @nextPool,
      @recycleOldestVolume, @recycleCurrentVolume, @purgeOldestVolume, @truncateOnPurge)
      ON CONFLICT(name) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(", ")}`);
    const flag = (value: boolean) => (value ? 1 : 0);
    durably(this.#db, () => {
      for (const pool of pools) {
        const flags = {
          deduplicate: flag(pool.deduplicate),
          autoPrune: flag(pool.autoPrune),
          recycle: flag(pool.recycle),
          recycleOldestVolume: flag(pool.recycleOldestVolume),
          recycleCurrentVolume: flag(pool.recycleCurrentVolume),
          purgeOldestVolume: flag(pool.purgeOldestVolume),
          truncateOnPurge: flag(pool.truncateOnPurge),
        };
        upsert.run({ ...pool, ...flags });
      }
    });
    this.#contexts.poolsChanged();
    return listPools(this.#db);
  }

  /** @throws BackupError POOL_UNKNOWN, VOLUME_EXISTS, POOL_FULL */
  addVolume(volume: NewVolume): VolumeRecord {
    return durably(this.#db, () => {
      const pool = poolByName(this.#db, volume.pool);
      if (pool === undefined)
        throw new BackupError("POOL_UNKNOWN", `Pool "${volume.pool}" is not known to this storage`);
      this.checkNew(volume.name, pool);
      const { lastInsertRowid } = this.#db
        .prepare(`INSERT INTO volume(name, pool, media_type, device, status, enabled, bytes, frames, jobs, errors,
          label_ms, first_written_ms, last_written_ms, retention, recycle, max_bytes, max_jobs, use_duration, slot,
          in_changer, uuid, recycle_pool, truncate_on_purge) VALUES (@name, @poolId, @mediaType, @device, 'Append', 1,
          @bytes, 0, 0, 0, @labelMs, 0, 0, @retention, @recycle, @maxBytes, @maxJobs, @useDuration, @slot, @inChanger, @uuid,
          @recyclePool, @truncateOnPurge)`)
        .run({
          ...volume,
          inChanger: volume.inChanger === true ? 1 : 0,
          poolId: pool.id,
          retention: pool.volumeRetention,
          recycle: pool.recycle ? 1 : 0,
          maxBytes: pool.maximumVolumeBytes,
          maxJobs: pool.maximumVolumeJobs,
          useDuration: pool.volumeUseDuration,
          recyclePool: pool.recyclePool,
          truncateOnPurge: pool.truncateOnPurge ? 1 : 0,
        });
      return volumeById(this.#db, Number(lastInsertRowid))!;
    });
  }

  /** May a volume of this name be added? @throws BackupError VOLUME_EXISTS, POOL_FULL */
  checkNew(name: string, pool: PoolRecord): void {
    if (this.#db.prepare("SELECT 1 FROM volume WHERE name = ?").get(name) !== undefined) {
      throw new BackupError("VOLUME_EXISTS", `Volume "${name}" is in the catalog already`);
    }
    if (pool.maximumVolumes > 0 && pool.volumes >= pool.maximumVolumes) {
      const limit = `Maximum Volumes = ${pool.maximumVolumes}`;
      throw new BackupError(
        "POOL_FULL",
        `Pool "${pool.name}" has ${pool.volumes} Volumes already (${limit})`,
      );
    }
  }

  setStatus(volume: number, status: string): void {
    durably(this.#db, () =>
      this.#db.prepare("UPDATE volume SET status = ? WHERE id = ?").run(status, volume),
    );
  }

  countError(volume: number): void {
    this.#db.prepare("UPDATE volume SET errors = errors + 1 WHERE id = ?").run(volume);
  }

  /** The volume was cut back to `bytes`, durably, because nothing behind counts. */
  cutTo(volume: number, bytes: number): void {
    durably(this.#db, () => this.#db.prepare("UPDATE volume SET bytes = ? WHERE id = ?").run(bytes, volume));
  }

  /**
   * The end of everything on a volume that was committed, or that a start may keep of a job; 0 when there is nothing.
   * Frames do not overlap.
   */
  neededBytes(volume: number): number {
    const end = this.#db
      .prepare<{ volume: number }, number | null>(
        `SELECT max(record_end, coalesce((SELECT f.offset + f.bytes FROM frame f JOIN job j ON j.id = f.job
           WHERE f.volume = @volume AND (j.dirty = 0 OR j.id IN (SELECT job FROM job_checkpoint)) ORDER BY f.offset DESC LIMIT 1), 0)) FROM volume WHERE id = @volume`,
      )
      .pluck()
      .get({ volume });
    return end ?? 0;
  }
}
