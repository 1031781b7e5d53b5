/**
 * What a start does about the end before it: jobs left running have failed and lose what they stored, volumes are
 * cut back to what finished jobs need, scratch files of restores go.
 */

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../common/log.js";
import { nowMs } from "../common/time.js";
import type { Catalog } from "./catalog/catalog.js";
import type { VolumeRecord } from "./catalog/types.js";
import type { DeviceResource } from "./config.js";
import type { VolumeFiles } from "./session/volume-files.js";
import type { Store } from "./store/store.js";
import { encodeLabel, volumePath } from "./volume/label.js";
import { VolumeReader } from "./volume/reader.js";

export interface RecoverOptions {
  catalog: Catalog;
  store: Store;
  files: VolumeFiles;
  devices: ReadonlyMap<string, DeviceResource>;
  workingDirectory: string;
  log: Log;
}

/** Before any job runs. A volume that cannot be reached is told and left alone. */
export async function recoverStorage(options: RecoverOptions): Promise<void> {
  const { catalog, devices, log, workingDirectory } = options;
  for (const name of await readdir(workingDirectory)) {
    if (/^restore-/.test(name)) await rm(join(workingDirectory, name), { recursive: true, force: true });
  }
  const failed = await catalog.writer.recover(nowMs());
  for (const job of failed) while (!(await catalog.writer.clean(job)));
  if (failed.length > 0) log.warn(`${failed.length} jobs that were interrupted have been marked as failed`);
  for (const volume of await catalog.reader.listVolumes("", "")) {
    const device = devices.get(volume.device);
    if (device === undefined)
      log.warn(`Volume "${volume.name}" lies on Device "${volume.device}", which is not configured`);
    else await settle(options, volume, volumePath(device.archiveDevice, volume.name));
  }
}

async function settle(
  { catalog, store, files, log }: RecoverOptions,
  volume: VolumeRecord,
  path: string,
): Promise<void> {
  try {
    const stat = await store.stat(path);
    if (stat === undefined) return log.warn(`Volume "${volume.name}" is missing: ${path} does not exist`);
    if (stat.sizeBytes < volume.bytes) {
      const lengths = `${stat.sizeBytes} bytes of ${volume.bytes}`;
      return log.error(`Volume "${volume.name}" is too short: ${path} has ${lengths}`);
    }
    const needed = await catalog.writer.neededBytes(volume.id);
    if (stat.sizeBytes === volume.bytes && needed === volume.bytes) return;
    const reader = await VolumeReader.open(store, path);
    const label = await reader.readLabel().finally(() => reader.close());
    const labelBytes = encodeLabel(label).length;
    if (stat.sizeBytes > Math.max(needed, labelBytes)) await files.cutBack(volume, path, labelBytes);
  } catch (error) {
    log.warn(`Volume "${volume.name}" could not be looked at`, { err: error });
  }
}
