/** What operators and retention do to volumes. Each call runs in turn with the choices of jobs. */

import { BackupError } from "../../common/errors.js";
import type { PoolRecord, VolumeRecord } from "../catalog/types.js";
import type { VolumeChanges } from "../catalog/writer-volumes.js";
import { changersOf } from "../changer/changer-store.js";
import type { DeviceResource } from "../config.js";
import { checkVolumeName, volumePath } from "../volume/label.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { VolumeFiles, VolumeFilesOptions } from "./volume-files.js";

export interface AdminOptions extends VolumeFilesOptions {
  devices: () => ReadonlyMap<string, DeviceResource>;
}

/** Words that an operator may give a volume as its status. */
const STATUSES: readonly string[] = [
  ...["Append", "Archive", "Disabled", "Full", "Used", "Cleaning", "Recycle", "Read-Only", "Error"],
];

export interface PurgeOutcome {
  purged: boolean;
  /** JobIds of kept jobs that need the volume. */
  neededBy: number[];
  /** A job that runs, a restore or another reader uses it. */
  running: boolean;
}

export class VolumeAdmin {
  readonly #options: AdminOptions;
  readonly #open: OpenVolumes;
  readonly #files: VolumeFiles;
  readonly #wake: (byOperator: boolean) => void;

  constructor(
    options: AdminOptions,
    open: OpenVolumes,
    files: VolumeFiles,
    wake: (byOperator: boolean) => void,
  ) {
    this.#options = options;
    this.#open = open;
    this.#files = files;
    this.#wake = wake;
  }

  /** Makes and labels a volume. @throws as VolumeFiles.create */
  create(name: string, pool: string, device: DeviceResource, slot: number): Promise<VolumeRecord> {
    return this.#change(async () => {
      const { record, writer } = await this.#files.create(name, pool, device, slot);
      await writer.close();
      return record;
    });
  }

  /**
   * Changes a volume's record; only what is present changes. Jobs that write to it heed a new status and limits from
   * their next frame on.
   * @throws VOLUME_UNKNOWN, VOLUME_STATUS_INVALID, VOLUME_IN_USE, POOL_UNKNOWN, POOL_FULL
   */
  update(name: string, changes: VolumeChanges, pool?: string): Promise<VolumeRecord> {
    return this.#change(async () => {
      const { writer } = this.#options.catalog;
      let volume = await this.#volume(name);
      await this.#checkChanges(volume, changes, pool);
      if (pool !== undefined && pool !== volume.poolName) {
        this.#checkClosed(volume);
        volume = await writer.moveVolume(volume.id, pool);
      }
      const changed = await writer.updateVolume(volume.id, changes);
      const device = this.#options.devices().get(changed.device);
      const moved = changes.slot !== undefined || changes.inChanger === true;
      // A slot holds one volume.
      if (moved && changed.inChanger && changed.slot > 0 && device !== undefined)
        await changersOf(this.#options.store)?.leaveSlot(this.#options.catalog, changed, device);
      return this.#changed(changed);
    });
  }

  async #checkChanges(volume: VolumeRecord, changes: VolumeChanges, pool?: string): Promise<void> {
    const { status, recyclePool = "" } = changes;
    for (const name of [recyclePool, pool ?? ""]) if (name !== "") await this.#pool(name);
    if (status === undefined || status === volume.status) return;
    const invalid = (text: string) => new BackupError("VOLUME_STATUS_INVALID", text);
    if (!STATUSES.includes(status)) throw invalid(`Invalid VolStatus specified: ${status}`);
    if (status === "Recycle" && volume.status !== "Purged") {
      throw invalid(
        `Volume "${volume.name}" is ${volume.status}: only a Purged Volume can be set to Recycle`,
      );
    }
  }

  /** Gives volumes the limits that their pool has now; "": all of them. @throws POOL_UNKNOWN, VOLUME_UNKNOWN */
  fromPool(pool: string, name: string): Promise<VolumeRecord[]> {
    return this.#change(async () => {
      const { reader, writer } = this.#options.catalog;
      if (pool !== "") await this.#pool(pool);
      if (name !== "") await this.#volume(name);
      const changed: VolumeRecord[] = [];
      for (const { id } of await reader.listVolumes(pool, name))
        changed.push(this.#changed(await writer.volumeFromPool(id)));
      return changed;
    });
  }

  /**
   * Gives a volume without data another name, and the pool named (""; its own).
   * @throws VOLUME_UNKNOWN, VOLUME_STATUS_INVALID, and as VolumeFiles.rename
   */
  relabel(name: string, newName: string, pool: string): Promise<{ record: VolumeRecord; path: string }> {
    return this.#change(async () => {
      checkVolumeName(newName);
      const volume = await this.#volume(name);
      const { status } = volume;
      if (status !== "Purged" && status !== "Recycle" && status !== "Error") {
        const text = `Volume "${name}" has VolStatus ${status}. It must be Purged or Recycle before relabeling.`;
        throw new BackupError("VOLUME_STATUS_INVALID", text);
      }
      this.#checkClosed(volume);
      const device = this.#device(volume);
      await this.#clear(volume.id);
      const record = await this.#files.rename(volume, device, newName, pool === "" ? volume.poolName : pool);
      return { record, path: volumePath(device.archiveDevice, newName) };
    });
  }

  /** Empties the file of a Purged volume; it stays Purged. @throws VOLUME_STATUS_INVALID, as VolumeFiles.empty */
  truncate(name: string): Promise<VolumeRecord> {
    return this.#change(async () => this.#truncate(await this.#volume(name)));
  }

  async #truncate(volume: VolumeRecord): Promise<VolumeRecord> {
    if (volume.status !== "Purged" && volume.status !== "Recycle") {
      const text = `Volume "${volume.name}" has VolStatus ${volume.status}: only Purged Volumes are truncated`;
      throw new BackupError("VOLUME_STATUS_INVALID", text);
    }
    this.#checkClosed(volume);
    const device = this.#device(volume);
    await this.#clear(volume.id);
    const { record, writer } = await this.#files.empty(volume, device, { status: "Purged", counted: false });
    await writer.close();
    return record;
  }

  /**
   * Marks a volume as Purged when no kept or running job needs it, clears the catalog of it, moves it to its
   * RecyclePool and empties its file if the volume says so. Jobs that wait for a volume look again.
   */
  async purge({ id, name }: Pick<VolumeRecord, "id" | "name">): Promise<PurgeOutcome> {
    const outcome = await this.#open.inTurn(async () => {
      if (this.#open.has(id)) return { purged: false, ...(await this.needOf(id)) };
      return this.#options.catalog.writer.purgeVolume(id);
    });
    if (outcome.purged) await this.#afterPurge(id, name);
    return outcome;
  }

  /** Who needs a volume. A job that has written nothing but its begin record is known here alone. */
  async needOf(id: number): Promise<{ neededBy: number[]; running: boolean }> {
    const { jobIds, running } = await this.#options.catalog.writer.needOf(id);
    return { neededBy: jobIds, running: running || this.#open.has(id) };
  }

  /** The volume is Purged whatever becomes of the rest: that is done again by the next start. */
  async #afterPurge(id: number, name: string): Promise<void> {
    try {
      // Not in turn: it may take long, and jobs may use other volumes meanwhile.
      await this.#clear(id);
      await this.#open.inTurn(() => this.#settle(id));
    } catch (error) {
      this.#options.log.warn("a Purged volume could not be settled", { volume: name, err: error });
    }
    this.#wake(false);
  }

  async #settle(id: number): Promise<void> {
    const all = await this.#options.catalog.reader.listVolumes("", "");
    const volume = all.find((one) => one.id === id);
    // Its pool may have recycled it already.
    if (volume?.status !== "Purged" || this.#open.has(id)) return;
    const { recyclePool, poolName, truncateOnPurge } = volume;
    const moves = recyclePool !== "" && recyclePool !== poolName;
    const moved = moves ? await this.#options.catalog.writer.moveVolume(id, recyclePool) : volume;
    if (truncateOnPurge && volume.uuid !== "" && volume.lastWrittenMs > 0) await this.#truncate(moved);
  }

  /** At start: what a crash kept from being done for Purged volumes, and for those that were being emptied. */
  async settlePurged(): Promise<void> {
    const all = await this.#options.catalog.reader.listVolumes("", "");
    for (const volume of all) {
      if (volume.status === "Purged") await this.#afterPurge(volume.id, volume.name);
      if (volume.status === "Recycle") await this.#open.inTurn(() => this.#emptyAgain(volume));
    }
  }

  async #emptyAgain(volume: VolumeRecord): Promise<void> {
    try {
      const device = this.#device(volume);
      if (await this.#files.isIntact(volume, device)) return;
      const { writer } = await this.#files.empty(volume, device, { status: "Recycle", counted: false });
      await writer.close();
    } catch (error) {
      this.#options.log.warn("a Volume could not be emptied", { volume: volume.name, err: error });
    }
  }

  /** Forgets a volume that holds nothing, and removes its file if told to. @throws VOLUME_UNKNOWN, VOLUME_IN_USE */
  remove(name: string, removeFile: boolean): Promise<void> {
    return this.#change(async () => {
      const volume = await this.#volume(name);
      this.#checkClosed(volume);
      // Jobs that were deleted may have left content: it goes as it does from a Purged volume.
      await this.#options.catalog.writer.purgeVolume(volume.id);
      await this.#clear(volume.id);
      const device = this.#options.devices().get(volume.device);
      await this.#options.catalog.writer.removeVolume(volume.id);
      if (!removeFile || device === undefined) return;
      const remove = () => this.#files.remove(volumePath(device.archiveDevice, name));
      const changers = changersOf(this.#options.store);
      // The catalog does not know any more in which slot it is.
      if (changers === undefined || !volume.inChanger) await remove();
      else await changers.assigning(name, volume.slot, remove);
    });
  }

  /** @throws POOL_UNKNOWN, POOL_IN_USE */
  removePool(name: string): Promise<void> {
    return this.#change(() => this.#options.catalog.writer.removePool(name));
  }

  async #change<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#open.inTurn(work);
    } finally {
      this.#wake(true);
    }
  }

  #changed(record: VolumeRecord): VolumeRecord {
    const open = this.#open.get(record.id);
    if (open !== undefined) open.record = { ...record, firstWrittenMs: open.record.firstWrittenMs };
    return record;
  }

  /** Removes what the catalog may still know of a Purged volume. */
  async #clear(id: number): Promise<void> {
    while (!(await this.#options.catalog.writer.purgeStep(id))) await new Promise(setImmediate);
  }

  async #volume(name: string): Promise<VolumeRecord> {
    const [volume] = name === "" ? [] : await this.#options.catalog.reader.listVolumes("", name);
    if (volume === undefined)
      throw new BackupError("VOLUME_UNKNOWN", `Volume "${name}" is not in the catalog`);
    return volume;
  }

  async #pool(name: string): Promise<PoolRecord> {
    const [pool] = await this.#options.catalog.reader.listPools(name);
    if (pool === undefined)
      throw new BackupError("POOL_UNKNOWN", `Pool "${name}" is not known to this storage`);
    return pool;
  }

  #checkClosed({ id, name }: VolumeRecord): void {
    if (this.#open.has(id)) throw new BackupError("VOLUME_IN_USE", `Volume "${name}" is being written to`);
  }

  /** @throws BackupError VOLUME_READ_ONLY */
  #device(volume: VolumeRecord): DeviceResource {
    const device = this.#options.devices().get(volume.device);
    if (device?.enabled === true && !device.readOnly) return device;
    const text = `Volume "${volume.name}" lies on Device "${volume.device}", which cannot be written to`;
    throw new BackupError("VOLUME_READ_ONLY", text);
  }
}
