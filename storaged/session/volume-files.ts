/** Volumes as files with a record in the catalog: made together, cut back together. */

import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { newLabel, volumePath } from "../volume/label.js";
import { VolumeWriter } from "../volume/writer.js";

export interface VolumeFilesOptions {
  catalog: Catalog;
  store: Store;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
}

export class VolumeFiles {
  readonly #options: VolumeFilesOptions;

  constructor(options: VolumeFilesOptions) {
    this.#options = options;
  }

  /** Makes the record and the file of a new volume. @throws VOLUME_EXISTS, STORE_EXISTS, POOL_FULL, STORE_ codes */
  async create(name: string, pool: string, device: DeviceResource, slot: number) {
    const { catalog, store, storage } = this.#options;
    const existing = await catalog.reader.listVolumes("", name);
    if (existing.length > 0)
      throw new BackupError("VOLUME_EXISTS", `Volume "${name}" is in the catalog already`);
    const labelMs = nowMs();
    const { mediaType } = device;
    const label = newLabel({ volume: name, pool, mediaType, storage, createdMs: labelMs });
    const path = volumePath(device.archiveDevice, name);
    const writer = await VolumeWriter.create(store, path, label);
    try {
      const { bytes } = writer;
      const record = await catalog.writer.addVolume({
        name,
        pool,
        mediaType,
        device: device.name,
        slot,
        bytes,
        labelMs,
      });
      return { record, writer };
    } catch (error) {
      await writer.close();
      await store.unlink(path).catch(() => undefined);
      throw error;
    }
  }

  /** Cuts a volume that nobody writes to where the last finished job ends. Never throws: the space is lost, no more. */
  async cutBack(record: VolumeRecord, path: string, labelBytes: number): Promise<void> {
    const { catalog, store, log } = this.#options;
    try {
      const needed = Math.max(await catalog.writer.neededBytes(record.id), labelBytes);
      // The catalog first: it must never promise more bytes than the file has.
      await catalog.writer.cutVolume(record.id, needed);
      await (await VolumeWriter.open(store, path, needed)).close();
    } catch (error) {
      log.warn("volume could not be cut back", { volume: record.name, err: error });
    }
  }
}
