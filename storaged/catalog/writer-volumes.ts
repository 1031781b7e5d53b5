/** What becomes of volumes, on the writing thread, where checking and acting are one step. */

import { BackupError } from "../../common/errors.js";
import { poolByName, volumeById } from "./pool-queries.js";
import { type Db, durably } from "./schema.js";
import type { PoolRecord, VolumeRecord } from "./types.js";
import type { Contexts } from "./writer-context.js";

/** Only what is present changes. Units as in VolumeRecord. */
export interface VolumeChanges {
  status?: string;
  enabled?: boolean;
  retention?: number;
  useDuration?: number;
  maxJobs?: number;
  maxBytes?: number;
  recycle?: boolean;
  slot?: number;
  inChanger?: boolean;
  /** Of another autochanger, when it was put there. */
  device?: string;
  recyclePool?: string;
  truncateOnPurge?: boolean;
}

/** What a volume is after it was emptied. */
export interface EmptiedVolume {
  status: "Append" | "Purged" | "Recycle";
  counted: boolean;
  uuid: string;
  labelMs: number;
  bytes: number;
  name?: string;
  pool?: string;
}

const COLUMNS: Readonly<Record<keyof VolumeChanges, string>> = {
  status: "status",
  enabled: "enabled",
  retention: "retention",
  useDuration: "use_duration",
  maxJobs: "max_jobs",
  maxBytes: "max_bytes",
  recycle: "recycle",
  slot: "slot",
  inChanger: "in_changer",
  device: "device",
  recyclePool: "recycle_pool",
  truncateOnPurge: "truncate_on_purge",
};

export class VolumeStore {
  readonly #db: Db;
  readonly #contexts: Contexts;

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
  }

  /** @throws BackupError VOLUME_UNKNOWN, VOLUME_IN_USE (out of Purged while the catalog is still being cleared) */
  update(volume: number, changes: VolumeChanges): VolumeRecord {
    return durably(this.#db, () => this.#apply(this.#get(volume), changes));
  }

  #apply(before: VolumeRecord, changes: VolumeChanges): VolumeRecord {
    const volume = before.id;
    const gone = before.status === "Purged" || before.status === "Recycle";
    const next = changes.status ?? before.status;
    if (gone && next !== "Purged" && next !== "Recycle") this.#checkEmpty(before);
    for (const [name, value] of Object.entries(changes) as [keyof VolumeChanges, unknown][]) {
      if (value === undefined) continue;
      const plain = typeof value === "boolean" ? Number(value) : value;
      this.#db.prepare(`UPDATE volume SET ${COLUMNS[name]} = ? WHERE id = ?`).run(plain, volume);
    }
    if (next === "Append") this.#contexts.purging.delete(volume);
    return this.#get(volume);
  }

  /** Gives a volume the limits that its pool has now. */
  fromPool(volume: number): VolumeRecord {
    const { poolName } = this.#get(volume);
    return this.update(volume, limitsOf(this.#pool(poolName)));
  }

  /** The file was looked at for the first time. */
  setUuid(volume: number, uuid: string): void {
    durably(this.#db, () =>
      this.#db.prepare("UPDATE volume SET uuid = ? WHERE id = ? AND uuid = ''").run(uuid, volume),
    );
  }

  /**
   * Moves a volume that holds nothing to another pool, whose limits it takes over. What is stored belongs to the
   * pool it was stored in: a volume with content stays.
   * @throws BackupError POOL_UNKNOWN, POOL_FULL, VOLUME_IN_USE
   */
  move(volume: number, poolName: string): VolumeRecord {
    return durably(this.#db, () => {
      const before = this.#get(volume);
      const pool = this.#pool(poolName);
      if (before.pool === pool.id) return before;
      this.#checkEmpty(before);
      checkRoom(pool);
      this.#db.prepare("UPDATE volume SET pool = ? WHERE id = ?").run(pool.id, volume);
      const { recyclePool: _keeps, ...limits } = limitsOf(pool);
      return this.#apply(this.#get(volume), limits);
    });
  }

  /** May an empty volume get this name and pool? @throws BackupError VOLUME_EXISTS, POOL_UNKNOWN, POOL_FULL */
  checkRename(volume: number, name: string, poolName: string): void {
    const before = this.#get(volume);
    if (this.#db.prepare("SELECT 1 FROM volume WHERE name = ?").get(name) !== undefined)
      throw new BackupError("VOLUME_EXISTS", `Volume "${name}" is in the catalog already`);
    const pool = this.#pool(poolName);
    if (pool.id !== before.pool) checkRoom(pool);
  }

  /** The file is about to be emptied. Done again after a crash. @throws BackupError VOLUME_IN_USE */
  beginRecycle(volume: number): void {
    durably(this.#db, () => {
      this.#checkEmpty(this.#get(volume));
      this.#db.prepare("UPDATE volume SET status = 'Recycle' WHERE id = ?").run(volume);
      this.#contexts.purging.add(volume);
    });
  }

  /** The file has its new label, durably, and nothing else. */
  endRecycle(volume: number, emptied: EmptiedVolume): VolumeRecord {
    return durably(this.#db, () => {
      const before = this.#get(volume);
      this.#checkEmpty(before);
      const pool = this.#pool(emptied.pool ?? before.poolName);
      // End records of failed and deleted jobs went with the file.
      this.#db.prepare("DELETE FROM job_record WHERE volume = ?").run(volume);
      this.#db
        .prepare(`UPDATE volume SET name = @name, pool = @pool, status = @status, uuid = @uuid, bytes = @bytes,
          label_ms = @labelMs, frames = 0, jobs = 0, errors = 0, first_written_ms = 0, last_written_ms = 0,
          record_end = 0, live_bytes = -1, measured_ms = 0, recycles = recycles + @counted WHERE id = @volume`)
        .run({
          ...emptied,
          volume,
          name: emptied.name ?? before.name,
          pool: pool.id,
          counted: emptied.counted ? 1 : 0,
        });
      if (emptied.status === "Append") this.#contexts.purging.delete(volume);
      return this.#get(volume);
    });
  }

  /** Forgets a volume that holds nothing. @throws BackupError VOLUME_UNKNOWN, VOLUME_IN_USE */
  remove(volume: number): void {
    durably(this.#db, () => {
      this.#checkEmpty(this.#get(volume));
      this.#db.prepare("DELETE FROM job_record WHERE volume = ?").run(volume);
      this.#db.prepare("DELETE FROM volume WHERE id = ?").run(volume);
      this.#contexts.purging.delete(volume);
    });
  }

  /** Forgets a pool without volumes and jobs. @throws BackupError POOL_UNKNOWN, POOL_IN_USE */
  removePool(name: string): void {
    durably(this.#db, () => {
      const pool = this.#pool(name);
      if (pool.volumes > 0)
        throw new BackupError(
          "POOL_IN_USE",
          `Pool "${name}" has ${pool.volumes} Volumes: move or delete them first`,
        );
      const jobs = this.#db
        .prepare<[number], number>("SELECT count(*) FROM job WHERE pool = ?")
        .pluck()
        .get(pool.id)!;
      if (jobs > 0)
        throw new BackupError("POOL_IN_USE", `Pool "${name}" has ${jobs} jobs: delete or move them first`);
      this.#db.prepare("DELETE FROM pool WHERE id = ?").run(pool.id);
    });
    this.#contexts.poolsChanged();
  }

  #get(volume: number): VolumeRecord {
    const record = volumeById(this.#db, volume);
    if (record === undefined) throw new BackupError("VOLUME_UNKNOWN", "the Volume was deleted meanwhile");
    return record;
  }

  #pool(name: string): PoolRecord {
    const pool = poolByName(this.#db, name);
    if (pool === undefined)
      throw new BackupError("POOL_UNKNOWN", `Pool "${name}" is not known to this storage`);
    return pool;
  }

  /** Nothing of any job that counts lies here, and nobody who runs needs it. @throws BackupError VOLUME_IN_USE */
  #checkEmpty({ id, name }: VolumeRecord): void {
    const counts = "j.id = x.job AND j.status IN ('R', 'T', 'W', 'D')";
    const any = (sql: string) => this.#db.prepare<[number], unknown>(sql).get(id) !== undefined;
    const stored =
      any("SELECT 1 FROM frame WHERE volume = ? LIMIT 1") ||
      ["job_volume", "job_need", "job_record"].some((table) =>
        any(`SELECT 1 FROM ${table} x JOIN job j ON ${counts} WHERE x.volume = ? LIMIT 1`),
      );
    if (stored) throw new BackupError("VOLUME_IN_USE", `Volume "${name}" holds data of jobs: purge it first`);
    const runs = [...this.#contexts.running.values()];
    const held = [...this.#contexts.held.values()];
    const used =
      runs.some(({ pinned, needs }) => pinned.has(id) || needs.has(id)) || held.some((all) => all.has(id));
    if (used) throw new BackupError("VOLUME_IN_USE", `Volume "${name}" is used by a job that runs`);
  }
}

function limitsOf(pool: PoolRecord): VolumeChanges {
  return {
    retention: pool.volumeRetention,
    recycle: pool.recycle,
    maxBytes: pool.maximumVolumeBytes,
    maxJobs: pool.maximumVolumeJobs,
    useDuration: pool.volumeUseDuration,
    recyclePool: pool.recyclePool,
    truncateOnPurge: pool.truncateOnPurge,
  };
}

function checkRoom({ name, volumes, maximumVolumes }: PoolRecord): void {
  if (maximumVolumes === 0 || volumes < maximumVolumes) return;
  throw new BackupError(
    "POOL_FULL",
    `Pool "${name}" has ${volumes} Volumes already (Maximum Volumes = ${maximumVolumes})`,
  );
}
