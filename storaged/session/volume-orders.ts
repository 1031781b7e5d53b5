/**
 * Operators' orders about new volumes and about drives: `label`, `add`, `mount`, `unmount`, `release`, `update slots`.
 * Answers are the lines that Bacula's storage daemon gives.
 */

import { BackupError, codeOf } from "../../common/errors.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { ListedSlot } from "../changer/changer-command.js";
import { changersOf } from "../changer/changer-store.js";
import type { Drives, Say } from "../changer/drives.js";
import { type DeviceResource, devicesNamed, isScripted } from "../device-config.js";
import { checkVolumeName, volumePath } from "../volume/label.js";
import { VolumeReader } from "../volume/reader.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { ChoiceOptions } from "./volume-choice.js";
import type { VolumeFiles } from "./volume-files.js";
import { reaches } from "./volume-fit.js";

export interface LabelOrder {
  volume: string;
  pool: string;
  /** Device or autochanger; "": the first device. */
  device: string;
  slot: number;
  /** Index of the drive. (Default: the first one) */
  drive?: number | undefined;
  say?: Say | undefined;
}

/** A drive as operators name it. */
export interface DriveOrder {
  device: string;
  drive?: number | undefined;
  slot: number;
  say: Say;
}

/** What is in a slot, as the changer and the label say. */
export interface SlotContent extends ListedSlot {
  /** Name on the label, when it was read; "": none. */
  volume: string;
}

export class VolumeOrders {
  readonly #options: ChoiceOptions;
  readonly #open: OpenVolumes;
  readonly #files: VolumeFiles;
  readonly #changed: () => void;

  /** `changed` hears that jobs which wait for a volume should look again. */
  constructor(options: ChoiceOptions, open: OpenVolumes, files: VolumeFiles, changed: () => void) {
    this.#options = options;
    this.#open = open;
    this.#files = files;
    this.#changed = changed;
  }

  /** Devices that a name stands for. @throws BackupError DEVICE_UNKNOWN */
  devices(name: string): readonly DeviceResource[] {
    const all = this.#options.devices();
    const found = name === "" ? [...all.values()].slice(0, 1) : devicesNamed(all, name);
    if (found.length === 0) throw new BackupError("DEVICE_UNKNOWN", `this storage has no Device "${name}"`);
    return found;
  }

  /** One drive of them; devices that are no drives have no number. @throws BackupError DEVICE_UNKNOWN */
  device(name: string, index?: number): DeviceResource {
    const all = this.devices(name);
    const first = all[0]!;
    if (index === undefined || first.drive === undefined) return first;
    const found = all.find(({ drive }) => drive?.index === index);
    if (found !== undefined) return found;
    throw new BackupError("DEVICE_UNKNOWN", `autochanger "${name}" has no drive ${index}`);
  }

  #drives(device: DeviceResource): Drives | undefined {
    return changersOf(this.#options.store)?.drivesOf(device);
  }

  /**
   * Makes and labels a volume.
   * @throws as VolumeFiles.create; DEVICE_UNKNOWN, DEVICE_UNUSABLE, VOLUME_NOT_LOADED, VOLUME_MISLABELED (the slot has
   * another one)
   */
  async label(order: LabelOrder): Promise<{ record: VolumeRecord; path: string }> {
    const { volume, pool, say } = order;
    const device = this.device(order.device, order.drive);
    if (!device.enabled || device.readOnly)
      throw new BackupError("DEVICE_UNUSABLE", `Device "${device.name}" is disabled or read-only`);
    const drives = this.#drives(device);
    const loaded = drives?.stateOf(device.name).slot ?? 0;
    const slot = order.slot === 0 && drives !== undefined ? loaded : order.slot;
    return this.#inTurn(async () => {
      try {
        const made = await this.#files.createIn(volume, pool, { device, slot, say });
        await made.writer.close();
        const path = drives === undefined ? volumePath(device.archiveDevice, volume) : device.archiveDevice;
        return { record: { ...made.record, device: made.drive.name }, path };
      } catch (error) {
        if (drives === undefined || codeOf(error) !== "STORE_EXISTS") throw error;
        throw await this.#taken(device, slot, error);
      }
    });
  }

  async #taken(device: DeviceResource, slot: number, cause: unknown): Promise<BackupError> {
    const name = await this.labelIn(device, slot).catch(() => "");
    const what = name === "" ? `slot ${slot} is not empty` : `it is already labeled: "${name}"`;
    return new BackupError("VOLUME_MISLABELED", `Cannot label Volume because ${what}`, { cause });
  }

  /** The name on the label of a slot's volume; "": it has none. @throws BackupError VOLUME_NOT_LOADED, STORE_ codes */
  async labelIn(device: DeviceResource, slot: number, say?: Say): Promise<string> {
    const { store } = this.#options;
    const changers = changersOf(store);
    if (changers === undefined || !isScripted(device)) return "";
    // No volume can have this name: nothing is found under it but the slot.
    const name = `slot/${slot}`.replace("/", " ");
    return changers.assigning(name, slot, async () => {
      await changers.load(device, name, say);
      const path = `${device.archiveDevice}/${name}`;
      if ((await store.stat(path)) === undefined) return "";
      const reader = await VolumeReader.open(store, path);
      try {
        return (await reader.readLabel()).volume;
      } catch {
        return "";
      } finally {
        await reader.close();
      }
    });
  }

  /** Records without labels. @throws VOLUME_NAME_INVALID, VOLUME_EXISTS, POOL_UNKNOWN, POOL_FULL, DEVICE_UNKNOWN */
  async add(order: LabelOrder, inChanger: boolean): Promise<VolumeRecord> {
    const { volume: name, pool, slot } = order;
    checkVolumeName(name);
    const device = this.device(order.device, order.drive);
    const fields = { name, pool, mediaType: device.mediaType, device: device.name, slot };
    return this.#inTurn(() =>
      this.#options.catalog.writer.addVolume({
        ...fields,
        ...{ inChanger: inChanger && slot > 0, bytes: 0, labelMs: 0, uuid: "" },
      }),
    );
  }

  /** @throws BackupError DEVICE_UNKNOWN, DEVICE_BUSY, VOLUME_NOT_LOADED */
  async mount({ device: name, drive, slot, say }: DriveOrder): Promise<void> {
    const device = this.device(name, drive);
    const drives = this.#drives(device);
    const place = `"${device.name}" (${device.archiveDevice})`;
    if (drives === undefined) return void (await say(`3906 File device ${place} is always mounted.`));
    if (slot > 0) this.#checkIdle(device);
    await drives.mount(device, slot, { volume: await this.#nameIn(device, slot), say });
    this.#changed();
    const { slot: now = 0 } = drives.stateOf(device.name);
    if (now === 0) return void (await say(`3905 Device ${place} open but no Bacula volume is mounted.`));
    await say(`3002 Device ${place} is mounted with Volume "${await this.#nameIn(device, now)}".`);
  }

  /** @throws as `mount` */
  async unmount({ device: name, drive, say }: DriveOrder): Promise<void> {
    const device = this.device(name, drive);
    const drives = this.#drives(device);
    const place = `"${device.name}" (${device.archiveDevice})`;
    if (drives !== undefined) this.#checkIdle(device);
    const done = drives !== undefined && (await drives.unmount(device, { volume: "", say }));
    await say(done ? `3002 Device ${place} unmounted.` : `3901 Device ${place} is already unmounted.`);
  }

  /** @throws as `mount` */
  async release({ device: name, drive, say }: DriveOrder): Promise<void> {
    const device = this.device(name, drive);
    const drives = this.#drives(device);
    const place = `"${device.name}" (${device.archiveDevice})`;
    if (drives !== undefined) this.#checkIdle(device);
    const done = drives !== undefined && (await drives.release(device, { volume: "", say }));
    await say(done ? `3022 Device ${place} released.` : `3921 Device ${place} already released.`);
  }

  #checkIdle(device: DeviceResource): void {
    const writers = this.#open.writers(device);
    if (writers === 0) return;
    const text = `Device "${device.name}" (${device.archiveDevice}) is busy with ${writers} writer(s)`;
    throw new BackupError("DEVICE_BUSY", text, { retry: "later" });
  }

  /** Is a volume one of those that a device or autochanger of this name can get at? @throws BackupError DEVICE_UNKNOWN */
  reaches(name: string, volume: VolumeRecord): boolean {
    const home = this.#options.devices().get(volume.device);
    return this.devices(name).some((device) => reaches(device, volume, home));
  }

  /** Name of the catalog's volume in a slot; "": none. */
  async #nameIn(device: DeviceResource, slot: number): Promise<string> {
    return (await this.#inSlots(device)).find((volume) => volume.slot === slot)?.name ?? "";
  }

  async #inSlots(device: DeviceResource): Promise<VolumeRecord[]> {
    const all = await this.#options.catalog.reader.listVolumes("", "");
    const changers = changersOf(this.#options.store);
    return all.filter((one) => one.inChanger && changers?.isIn(one, device) === true);
  }

  /**
   * What the changer lists; with `scan` every slot that has something is loaded and its label read.
   * @throws BackupError DEVICE_UNKNOWN, VOLUME_NOT_LOADED
   */
  async slots({ device: name, drive, say }: Omit<DriveOrder, "slot">, scan: boolean) {
    const device = this.device(name, drive);
    const drives = this.#drives(device);
    if (drives === undefined) return { slots: 0, list: [] };
    const { slots, listed } = await drives.list(device, say);
    const barcodes = new Map(listed.map(({ slot, barcode }) => [slot, barcode]));
    const list: SlotContent[] = [];
    for (let slot = 1; slot <= slots; slot++) {
      const barcode = barcodes.get(slot) ?? "";
      list.push({ slot, barcode, volume: scan ? await this.labelIn(device, slot, say) : barcode });
    }
    return { slots, list };
  }

  /** `update slots`: the catalog says what is in which slot. Answers line by line. @throws as `slots` */
  async updateSlots(order: Omit<DriveOrder, "slot">, scan: boolean): Promise<number> {
    const { say } = order;
    const device = this.device(order.device, order.drive);
    const { slots, list } = await this.slots(order, scan);
    const { reader, writer } = this.#options.catalog;
    const found = new Set<number>();
    for (const { slot, volume: name } of list) {
      if (name === "") {
        await say(`No VolName for Slot=${slot} InChanger set to zero.`);
        continue;
      }
      const [volume] = await reader.listVolumes("", name);
      if (volume === undefined) {
        await say(`Volume "${name}" not found in catalog. Slot=${slot} InChanger set to zero.`);
        continue;
      }
      const home = this.#options.devices().get(volume.device);
      if (home !== undefined && !isScripted(home)) {
        await say(`Volume "${name}" lies on Device "${home.name}". Slot=${slot} InChanger set to zero.`);
        continue;
      }
      found.add(volume.id);
      const moved = home?.drive?.changer !== device.drive?.changer;
      if (!moved && volume.inChanger && volume.slot === slot)
        await say(`Catalog record for Volume "${name}" is up to date.`);
      else {
        await writer.updateVolume(volume.id, {
          ...{ slot, inChanger: true },
          ...(moved ? { device: device.name } : {}),
        });
        await say(`Catalog record for Volume "${name}" updated to reference slot ${slot}.`);
      }
    }
    for (const volume of await this.#inSlots(device))
      if (!found.has(volume.id)) await writer.updateVolume(volume.id, { inChanger: false });
    this.#changed();
    return slots;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#open.inTurn(work);
    } finally {
      this.#changed();
    }
  }
}
