/**
 * What a start does about the end before it: volumes are cut back to what jobs need, jobs left running are kept as far as
 * their last checkpoint or have failed and lose what they stored, scratch files of restores go.
 */

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../common/log.js";
import { nowMs } from "../common/time.js";
import type { Catalog } from "./catalog/catalog.js";
import type { VolumeRecord } from "./catalog/types.js";
import { type DeviceResource, isScripted } from "./device-config.js";
import { keepInterrupted, trimInterrupted } from "./session/keep-interrupted.js";
import type { VolumeDesk } from "./session/volume-desk.js";
import type { VolumeFiles } from "./session/volume-files.js";
import { isUnlabelled } from "./session/volume-fit.js";
import { looksBehind } from "./session/volume-tail.js";
import type { Store } from "./store/store.js";
import { volumePath } from "./volume/label.js";
import { DamagedVolume, VolumeReader } from "./volume/reader.js";

export interface RecoverOptions {
  catalog: Catalog;
  store: Store;
  files: VolumeFiles;
  desk: VolumeDesk;
  /** Name of this storage daemon. */
  storage: string;
  devices: ReadonlyMap<string, DeviceResource>;
  workingDirectory: string;
  log: Log;
}

/** Before any job runs. A volume that cannot be reached is told and left alone. */
export async function recoverStorage(options: RecoverOptions): Promise<void> {
  const { catalog, log, workingDirectory } = options;
  for (const name of await readdir(workingDirectory)) {
    if (/^(restore|vacuum)-/.test(name))
      await rm(join(workingDirectory, name), { recursive: true, force: true });
  }
  const failed = await catalog.writer.recover(nowMs());
  for (const job of failed) while (!(await catalog.writer.clean(job)));
  for (const job of await catalog.writer.partialLists()) while (!(await catalog.writer.clearList(job)));
  for (const job of await catalog.writer.oldLists()) while (!(await catalog.writer.clearOldList(job)));
  while (!(await catalog.writer.dropOldStates()));
  if (failed.length > 0) log.warn(`${failed.length} jobs that were interrupted have been marked as failed`);
  await trimInterrupted(catalog);
  await settleAll(options);
  // What they had stored is to be cut off as well.
  if ((await keepInterrupted(options)) > 0) await settleAll(options);
}

async function settleAll(options: RecoverOptions): Promise<void> {
  const { catalog, devices, log } = options;
  for (const volume of await catalog.reader.listVolumes("", "")) {
    const device = devices.get(volume.device);
    if (device === undefined)
      log.warn(`Volume "${volume.name}" lies on Device "${volume.device}", which is not configured`);
    else await settle(options, volume, device);
  }
}

async function settle(options: RecoverOptions, volume: VolumeRecord, device: DeviceResource): Promise<void> {
  const { catalog, store, files, log } = options;
  // Nothing in these files counts: recycling and truncating take them whatever they hold.
  if (volume.status === "Purged" || volume.status === "Recycle" || isUnlabelled(volume)) return;
  // Not every slot is loaded at every start: its end is looked at before it is written to (VolumeFiles.open).
  if (isScripted(device)) return;
  const path = volumePath(device.archiveDevice, volume.name);
  try {
    const stat = await store.stat(path);
    if (stat === undefined) return log.warn(`Volume "${volume.name}" is missing: ${path} does not exist`);
    if (stat.sizeBytes < volume.bytes) {
      const lengths = `${stat.sizeBytes} bytes of ${volume.bytes}`;
      return log.error(`Volume "${volume.name}" is too short: ${path} has ${lengths}`);
    }
    if (device.readOnly) return;
    const needed = await catalog.writer.neededBytes(volume.id);
    if (stat.sizeBytes === volume.bytes && needed === volume.bytes) return;
    if (stat.sizeBytes <= needed) return;
    const { jobIds, content } = await looksBehind(catalog, store, path, needed);
    const shown = jobIds.slice(0, 10).join(", ") + (jobIds.length > 10 ? ", …" : "");
    if (jobIds.length > 0)
      await setReadOnly(
        options,
        volume,
        `jobs, or lists of them, that the catalog does not know (JobIds ${shown})`,
      );
    else if (content && (await isOlder(options)))
      await setReadOnly(
        options,
        volume,
        "content that was moved there from a volume that is not there any more",
      );
    else await files.cutBack(volume, device);
  } catch (error) {
    log.warn(`Volume "${volume.name}" could not be looked at`, { err: error });
  }
}

/**
 * Is a volume not what the catalog says of it? After a crash all are; a catalog from a copy knows volumes as they were
 * before they were emptied and used again. What was moved away from them has its only copy where it was moved to.
 */
async function isOlder({ catalog, store, devices }: RecoverOptions): Promise<boolean> {
  for (const volume of await catalog.reader.listVolumes("", "")) {
    const device = devices.get(volume.device);
    if (device === undefined || volume.status === "Purged" || volume.status === "Recycle") continue;
    if (isScripted(device) || isUnlabelled(volume)) continue;
    const path = volumePath(device.archiveDevice, volume.name);
    const stat = await store.stat(path);
    if (stat === undefined || stat.sizeBytes < volume.bytes) return true;
    const reader = await VolumeReader.open(store, path);
    try {
      const { volumeUuid } = await reader.readLabel();
      if (volume.uuid !== "" && volumeUuid !== volume.uuid) return true;
    } catch (error) {
      if (!(error instanceof DamagedVolume)) throw error;
      return true;
    } finally {
      await reader.close();
    }
  }
  return false;
}

async function setReadOnly(
  { catalog, log }: RecoverOptions,
  { id, name }: VolumeRecord,
  what: string,
): Promise<void> {
  await catalog.writer.setVolumeStatus(id, "Read-Only");
  log.error(
    `Volume "${name}" holds ${what}: the catalog is older than the volume. The volume is Read-Only now and nothing ` +
      'was cut off; "basalt volume scan --add" takes it in',
  );
}
