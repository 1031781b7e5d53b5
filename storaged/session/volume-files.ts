/**
 * Volumes as files with a record in the catalog: made together, emptied together, cut back together. Whatever order
 * a crash leaves them in, a volume with finished jobs is never touched, and the same call done again succeeds.
 */

import { dirname } from "node:path";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import { changersOf } from "../changer/changer-store.js";
import type { Say } from "../changer/drives.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { encodeLabel, newLabel, type VolumeLabel, volumePath } from "../volume/label.js";
import { DamagedVolume, VolumeReader } from "../volume/reader.js";
import { VolumeWriter } from "../volume/writer.js";
import { isRemnant } from "./torn-label.js";
import { checkTail } from "./volume-tail.js";

export interface VolumeFilesOptions {
  catalog: Catalog;
  store: Store;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
}

/** Where a new volume is to be. */
export interface NewPlace {
  device: DeviceResource;
  /** Slot of the device's autochanger; 0: none. */
  slot: number;
  say?: Say | undefined;
}

/** What an emptied volume becomes. */
export interface EmptyAs {
  status: "Append" | "Purged" | "Recycle";
  /** Counts as a recycling in the volume's record. */
  counted: boolean;
}

export class VolumeFiles {
  readonly #options: VolumeFilesOptions;
  /** Volumes in changers whose end is known to hold nothing that counts. */
  readonly #looked = new Set<number>();

  constructor(options: VolumeFilesOptions) {
    this.#options = options;
  }

  /** Makes the record and the file of a new volume. @throws VOLUME_EXISTS, STORE_EXISTS, POOL_FULL, STORE_ codes */
  async create(name: string, pool: string, device: DeviceResource, slot: number) {
    const { catalog, store } = this.#options;
    const existing = await catalog.reader.listVolumes("", name);
    if (existing.length > 0)
      throw new BackupError("VOLUME_EXISTS", `Volume "${name}" is in the catalog already`);
    const path = volumePath(device.archiveDevice, name);
    const label = await this.#label(name, pool, device.mediaType);
    const writer = await this.#newFile(path, label);
    try {
      const { volumeUuid: uuid, mediaType, createdMs: labelMs } = label;
      const { bytes } = writer;
      const inChanger = slot > 0 && changersOf(store)?.drivesOf(device) !== undefined;
      const fields = { name, pool, mediaType, device: device.name, slot, inChanger, bytes, labelMs, uuid };
      return { record: await catalog.writer.addVolume(fields), writer };
    } catch (error) {
      await writer.close();
      await store.unlink(path).catch(() => undefined);
      throw error;
    }
  }

  /**
   * As `create`; in an autochanger with a command the slot's volume is loaded first, and the record says that it is
   * there. `drive` is the one that it is in then.
   * @throws as `create`, VOLUME_NOT_LOADED
   */
  async createIn(name: string, pool: string, { device, slot, say }: NewPlace) {
    const { store, catalog } = this.#options;
    const changers = changersOf(store);
    if (changers?.drivesOf(device) === undefined)
      return { ...(await this.create(name, pool, device, slot)), drive: device };
    return changers.assigning(name, slot, async () => {
      const drive = await changers.load(device, name, say);
      const { record, writer } = await this.create(name, pool, drive, slot);
      await changers.leaveSlot(catalog, record, device);
      return { record, writer, drive };
    });
  }

  /** Makes the file of a volume that was added without a label. @throws STORE_EXISTS, VOLUME_NOT_LOADED, STORE_ codes */
  async labelAdded(volume: VolumeRecord, device: DeviceResource) {
    const { catalog } = this.#options;
    const label = await this.#label(volume.name, volume.poolName, device.mediaType);
    const writer = await this.#newFile(volumePath(device.archiveDevice, volume.name), label);
    try {
      const { volumeUuid: uuid, createdMs: labelMs } = label;
      const facts = { status: "Append", counted: false, uuid, labelMs, bytes: writer.bytes } as const;
      return { record: await catalog.writer.endRecycle(volume.id, facts), writer };
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /** A file that is not there yet, or that an interrupted labelling left. @throws STORE_EXISTS, STORE_ codes */
  async #newFile(path: string, label: VolumeLabel): Promise<VolumeWriter> {
    const { store } = this.#options;
    return (await isRemnant(store, path, label))
      ? await VolumeWriter.recycle(store, path, label)
      : await VolumeWriter.create(store, path, label);
  }

  /** With the pool's definition, so that the catalog can be made again from volumes alone. */
  async #label(volume: string, pool: string, mediaType: string): Promise<VolumeLabel> {
    const { catalog, storage } = this.#options;
    const [known] = await catalog.reader.listPools(pool);
    const facts = { volume, pool, mediaType, storage, createdMs: nowMs() };
    if (known === undefined) return newLabel(facts);
    const { id: _id, volumes: _volumes, ...definition } = known;
    return newLabel({ ...facts, poolDefinition: definition });
  }

  /**
   * Opens a volume behind its last committed byte, after a look at its label: a file that belongs to another volume
   * is left as it is.
   * @throws VOLUME_MISLABELED, VOLUME_SHORT, VOLUME_DAMAGED, VOLUME_READ_ONLY, STORE_ codes
   */
  async open(volume: VolumeRecord, device: DeviceResource): Promise<VolumeWriter> {
    const { catalog, store } = this.#options;
    const path = volumePath(device.archiveDevice, volume.name);
    if (changersOf(store)?.drivesOf(device) !== undefined && !this.#looked.has(volume.id)) {
      await checkTail(catalog, store, { volume, path });
      this.#looked.add(volume.id);
    }
    const writer = await VolumeWriter.open(store, path, volume.bytes, (label) =>
      checkLabel(label, volume, path),
    );
    if (volume.uuid === "") await catalog.writer.setVolumeUuid(volume.id, writer.label.volumeUuid);
    return writer;
  }

  /**
   * Empties a volume on which the catalog has nothing any more: first its status is Recycle, durably, then the file
   * is cut to nothing and gets a new label, then the catalog says what it is now. A crash in between leaves it in
   * status Recycle, and this is done again. The caller closes the writer, and has made sure that nobody else uses
   * the volume.
   * @throws VOLUME_IN_USE when the catalog still has something there; VOLUME_MISLABELED, STORE_ codes
   */
  async empty(volume: VolumeRecord, device: DeviceResource, as: EmptyAs) {
    const { catalog, store } = this.#options;
    const path = volumePath(device.archiveDevice, volume.name);
    await this.#checkFile(volume, path);
    await catalog.writer.beginRecycle(volume.id);
    const label = await this.#label(volume.name, volume.poolName, volume.mediaType);
    const writer = await VolumeWriter.recycle(store, path, label);
    try {
      const { volumeUuid: uuid, createdMs: labelMs } = label;
      const record = await catalog.writer.endRecycle(volume.id, {
        ...as,
        uuid,
        labelMs,
        bytes: writer.bytes,
      });
      return { record, writer };
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /**
   * Gives an empty volume another name, and perhaps another pool; as crash-safe as `empty`.
   * @throws VOLUME_EXISTS, STORE_EXISTS, POOL_UNKNOWN and as `empty`
   */
  async rename(
    volume: VolumeRecord,
    device: DeviceResource,
    name: string,
    pool: string,
  ): Promise<VolumeRecord> {
    const { catalog, store } = this.#options;
    const from = volumePath(device.archiveDevice, volume.name);
    const to = volumePath(device.archiveDevice, name);
    const label = await this.#label(name, pool, volume.mediaType);
    await catalog.writer.checkRename(volume.id, name, pool);
    await this.#checkFile(volume, from);
    const taken = (await store.stat(to)) !== undefined;
    if (taken && !(await isRemnant(store, to, label)))
      throw new BackupError("STORE_EXISTS", `${to} exists already and is no empty Volume of this storage`);
    await catalog.writer.beginRecycle(volume.id);
    // The new label first: under either name the file holds nothing else from here on.
    const writer = await VolumeWriter.recycle(store, from, label);
    const { bytes } = writer;
    await writer.close();
    await store.rename(from, to);
    await store.syncDirectory(dirname(to));
    const { volumeUuid: uuid, createdMs: labelMs } = label;
    const facts = { status: "Append", counted: false, uuid, labelMs, bytes, name, pool } as const;
    return catalog.writer.endRecycle(volume.id, facts);
  }

  /**
   * A volume's file may be missing or broken, but not another volume's: it would be one that was recycled after this
   * catalog's time. In status Recycle it may have its next label already, and nothing behind it.
   * @throws VOLUME_MISLABELED
   */
  async #checkFile(volume: VolumeRecord, path: string): Promise<void> {
    const { store } = this.#options;
    if ((await store.stat(path)) === undefined) return;
    const reader = await VolumeReader.open(store, path);
    let label: VolumeLabel;
    try {
      label = await reader.readLabel();
    } catch (error) {
      if (error instanceof DamagedVolume) return;
      throw error;
    } finally {
      await reader.close();
    }
    if (volume.status !== "Recycle" || encodeLabel(label).length !== reader.size)
      checkLabel(label, volume, path);
  }

  /** Is the file still (or already) what the catalog says? */
  async isIntact(volume: VolumeRecord, device: DeviceResource): Promise<boolean> {
    const { store } = this.#options;
    const path = volumePath(device.archiveDevice, volume.name);
    if ((await store.stat(path)) === undefined) return false;
    const reader = await VolumeReader.open(store, path);
    try {
      const label = await reader.readLabel();
      return label.volume === volume.name && label.volumeUuid === volume.uuid && reader.size === volume.bytes;
    } catch (error) {
      if (error instanceof DamagedVolume) return false;
      throw error;
    } finally {
      await reader.close();
    }
  }

  /** Removes the file of a volume that the catalog does not know any more. */
  async remove(path: string): Promise<void> {
    const { store } = this.#options;
    if ((await store.stat(path)) === undefined) return;
    await store.unlink(path);
    await store.syncDirectory(dirname(path));
  }

  /**
   * Cuts a volume that nobody writes to back to the end of what was ever committed there. Never throws: the space is
   * lost, no more.
   */
  async cutBack(volume: VolumeRecord, device: DeviceResource): Promise<void> {
    const { catalog, store, log } = this.#options;
    try {
      const path = volumePath(device.archiveDevice, volume.name);
      const reader = await VolumeReader.open(store, path);
      const label = await reader.readLabel().finally(() => reader.close());
      checkLabel(label, volume, path);
      const needed = Math.max(await catalog.writer.neededBytes(volume.id), encodeLabel(label).length);
      // The catalog first: it must never promise more bytes than the file has.
      await catalog.writer.cutVolume(volume.id, needed);
      await (await VolumeWriter.open(store, path, needed)).close();
    } catch (error) {
      log.warn("volume could not be cut back", { volume: volume.name, err: error });
    }
  }
}

/** @throws VOLUME_MISLABELED */
export function checkLabel(label: VolumeLabel, volume: VolumeRecord, path: string): void {
  if (label.volume !== volume.name) {
    throw new BackupError("VOLUME_MISLABELED", `${path} carries the label of Volume "${label.volume}"`);
  }
  if (volume.uuid === "" || label.volumeUuid === volume.uuid) return;
  const text = `${path} is another Volume of the same name: its UUID is ${label.volumeUuid}, not ${volume.uuid}`;
  throw new BackupError("VOLUME_MISLABELED", text);
}
