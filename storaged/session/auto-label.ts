/**
 * Labels volumes for jobs: new ones by the pool's LabelFormat, and those that were added to the catalog without a label.
 * All methods are called in turn (`OpenVolumes.inTurn`).
 */

import { BackupError, codeOf } from "../../common/errors.js";
import { countersIn, labelNames } from "../../common/label-format.js";
import { nowMs } from "../../common/time.js";
import type { VolumeRecord } from "../catalog/types.js";
import { changersOf } from "../changer/changer-store.js";
import { type DeviceResource, isScripted } from "../device-config.js";
import { isVolumeName, volumePath } from "../volume/label.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { VolumeFiles, VolumeFilesOptions } from "./volume-files.js";
import { type AcquireRequest, give, type OpenVolume, placeOf, tellDevice } from "./volume-messages.js";

/** Names that a template with a counter may try: others may have been made by hand. */
const TRIES = 1000;

export class AutoLabel {
  readonly #options: VolumeFilesOptions;
  readonly #open: OpenVolumes;
  readonly #files: VolumeFiles;

  constructor(options: VolumeFilesOptions, open: OpenVolumes, files: VolumeFiles) {
    this.#options = options;
    this.#open = open;
    this.#files = files;
  }

  /** A new volume in the request's pool; undefined when its names are taken or, in a changer, no slot is blank. */
  async newVolume(
    device: DeviceResource,
    numVols: number,
    request: AcquireRequest,
  ): Promise<OpenVolume | undefined> {
    for await (const name of this.#names(device, numVols, request)) {
      try {
        await tellDevice(device, request);
        const slot = isScripted(device) ? await this.#blankSlot(device, name) : 0;
        if (slot === undefined) return undefined;
        return await this.#made(name, device, slot, request);
      } catch (error) {
        const code = codeOf(error);
        if (code === "POOL_FULL") return undefined;
        if (code !== "VOLUME_EXISTS" && code !== "STORE_EXISTS") throw error;
      }
    }
    return undefined;
  }

  /** @throws BackupError VOLUME_NAME_INVALID */
  async *#names(device: DeviceResource, numVols: number, { pool, facts }: AcquireRequest) {
    const { labelFormat } = pool;
    const { mediaType } = device;
    const all = { ...facts, pool: pool.name, mediaType, numVols, timeMs: nowMs() };
    const used = countersIn(labelFormat);
    const moves = used.some(({ increments }) => increments);
    for (let attempt = 0; attempt < (moves ? TRIES : 1); attempt++) {
      const counters = used.length === 0 ? {} : await this.#options.catalog.writer.useCounters(used);
      for (const name of labelNames(labelFormat, { ...all, counters })) {
        if (!isVolumeName(name)) {
          const text = `LabelFormat "${labelFormat}" of Pool "${pool.name}" gives "${name}", which is no valid Volume name`;
          throw new BackupError("VOLUME_NAME_INVALID", text);
        }
        yield name;
      }
    }
  }

  async #made(name: string, device: DeviceResource, slot: number, request: AcquireRequest) {
    const say = (text: string) => request.reporter.message("info", text);
    const { record, writer, drive } = await this.#files.createIn(name, request.pool.name, {
      device,
      slot,
      say,
    });
    const open = this.#open.add(record, drive, writer);
    await say(`Labeled new Volume "${name}" on ${placeOf(drive)}.`);
    return give(open, request, "prelabeled");
  }

  /** A slot that no volume of the catalog is in and whose file is empty. */
  async #blankSlot(device: DeviceResource, name: string): Promise<number | undefined> {
    const { catalog, store } = this.#options;
    const changers = changersOf(store);
    const drives = changers?.drivesOf(device);
    if (changers === undefined || drives === undefined) return undefined;
    const { slots, listed } = await drives.list(device);
    // Many changers list the slots that have something, and to load one that has nothing fails.
    const there = new Set(listed.map(({ slot }) => slot));
    const all = await catalog.reader.listVolumes("", "");
    const taken = new Set(
      all.filter((each) => each.inChanger && changers.isIn(each, device)).map(({ slot }) => slot),
    );
    const path = volumePath(device.archiveDevice, name);
    for (let slot = 1; slot <= slots; slot++) {
      if (taken.has(slot) || (there.size > 0 && !there.has(slot))) continue;
      if ((await changers.assigning(name, slot, () => store.stat(path))) === undefined) return slot;
    }
    return undefined;
  }

  /** Gives a volume that was only added to the catalog its file and label. @throws as VolumeFiles.labelAdded */
  async added(volume: VolumeRecord, device: DeviceResource, request: AcquireRequest): Promise<OpenVolume> {
    const { record, writer } = await this.#files.labelAdded(volume, device);
    const open = this.#open.add(record, device, writer);
    await request.reporter.message("info", `Labeled new Volume "${volume.name}" on ${placeOf(device)}.`);
    return give(open, request, "prelabeled");
  }
}
