/**
 * Volumes in autochangers, behind the interface through which all of storaged touches volume files. The path of such a
 * volume is its name below the archive device of a drive (any one of its changer): nothing lies there, it says which
 * volume is meant. What is done to it is done to the slot's file that the changer's command puts into a drive. All
 * other paths go to the store below.
 */

import { lstat, readlink, realpath } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { BackupError, codeOf } from "../../common/errors.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import { type DeviceResource, isScripted } from "../device-config.js";
import type { OpenMode, Store, StoreFile, StoreStat } from "../store/store.js";
import { type Access, ChangerFile } from "./changer-file.js";
import { Drives, type Say } from "./drives.js";

/** What the catalog knows about where a volume is. */
export interface SlotOf {
  /** Slot of a volume that is in a changer; 0: in none. */
  slot(volume: string): Promise<number>;
  /** Names of the volumes in the changer that has these drives. */
  volumes(devices: readonly string[]): Promise<string[]>;
}

/** Answers from the catalog; it is asked each time. */
export function slotsOf(catalog: () => Catalog): SlotOf {
  return {
    slot: async (name) => {
      const [volume] = await catalog().reader.listVolumes("", name);
      return volume?.inChanger === true ? volume.slot : 0;
    },
    volumes: async (devices) => {
      const all = await catalog().reader.listVolumes("", "");
      return all
        .filter((one) => one.inChanger && one.slot > 0 && devices.includes(one.device))
        .map(({ name }) => name);
    },
  };
}

export interface ChangerStoreOptions {
  below: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
  catalog: SlotOf;
}

export class ChangerStore implements Store {
  readonly #options: ChangerStoreOptions;
  readonly #changers = new Map<string, Drives>();
  /** Slots of volumes that are being labelled or renamed, which the catalog does not know yet. */
  readonly #assigned = new Map<string, number>();

  constructor(options: ChangerStoreOptions) {
    this.#options = options;
  }

  /** The drives of the changer that a device belongs to; undefined for one whose volumes lie in a directory. */
  drivesOf(device: DeviceResource): Drives | undefined {
    if (!isScripted(device)) return undefined;
    const changer = device.drive!.changer;
    let drives = this.#changers.get(changer);
    if (drives === undefined) {
      drives = new Drives(() => this.#devicesOf(changer));
      this.#changers.set(changer, drives);
    }
    return drives;
  }

  #devicesOf(changer: string): DeviceResource[] {
    const all = [...this.#options.devices().values()].filter((each) => each.drive?.changer === changer);
    return all.sort((a, b) => a.drive!.index - b.drive!.index);
  }

  /** Calls `work` while this volume is taken to be in that slot, whatever the catalog says. */
  async assigning<T>(volume: string, slot: number, work: () => Promise<T>): Promise<T> {
    this.#assigned.set(volume, slot);
    try {
      return await work();
    } finally {
      this.#assigned.delete(volume);
    }
  }

  /** Does a volume belong to the changer of this device? */
  isIn(volume: VolumeRecord, device: DeviceResource): boolean {
    const home = this.#options.devices().get(volume.device);
    return home?.drive !== undefined && home.drive.changer === device.drive?.changer;
  }

  /** A slot holds one volume: others that the catalog has in that of `volume` are out of the changer. */
  async leaveSlot(catalog: Catalog, volume: VolumeRecord, device: DeviceResource): Promise<void> {
    for (const other of await catalog.reader.listVolumes("", "")) {
      const same = other.id !== volume.id && other.inChanger && other.slot === volume.slot;
      if (same && this.isIn(other, device)) await catalog.writer.updateVolume(other.id, { inChanger: false });
    }
  }

  /** The slot that a volume is in, or is being put into; 0: none. */
  async slotOf(volume: string): Promise<number> {
    return this.#assigned.get(volume) ?? (await this.#options.catalog.slot(volume));
  }

  /**
   * Loads a volume into a drive: the preferred one if it is in none yet; the drive. Others may need the drive later:
   * the volume is then loaded again when it is used.
   * @throws BackupError VOLUME_NOT_LOADED
   */
  async load(device: DeviceResource, volume: string, say?: Say): Promise<DeviceResource> {
    const drives = this.drivesOf(device);
    if (drives === undefined) return device;
    const slot = await this.#slot(volume);
    return drives.use(slot, { prefer: device.name, volume, say }, async (drive) => drive);
  }

  /** @throws BackupError VOLUME_NOT_LOADED */
  async #slot(volume: string): Promise<number> {
    const slot = await this.slotOf(volume);
    if (slot > 0) return slot;
    const text = `Volume "${volume}" is in no slot of the autochanger: put it in and use "update slots"`;
    throw new BackupError("VOLUME_NOT_LOADED", text, { retry: "later" });
  }

  /** How to get at the file behind a path; undefined for one that is not in a changer. */
  #access(path: string): (Access & { volume: string }) | undefined {
    const directory = dirname(path);
    const volume = basename(path);
    for (const device of this.#options.devices().values()) {
      const drives = device.archiveDevice === directory ? this.drivesOf(device) : undefined;
      if (drives === undefined) continue;
      // A file that is open stays in its slot: the catalog is asked once.
      let known: number | undefined;
      const access: Access = {
        path,
        use: async (work) => {
          const slot = known ?? (await this.#slot(volume));
          known = slot;
          return drives.use(slot, { prefer: device.name, volume }, async (drive, enter) =>
            work(await targetOf(drive.archiveDevice), enter),
          );
        },
        leave: (occupant) => drives.leave(occupant),
      };
      return { ...access, volume };
    }
    return undefined;
  }

  async create(path: string): Promise<StoreFile> {
    const { below } = this.#options;
    const access = this.#access(path);
    if (access === undefined) return below.create(path);
    const file = new ChangerFile(access, below, "append");
    await access.use(async (target) => {
      const stat = await below.stat(target);
      if (stat === undefined) await (await below.create(target)).close();
      else if (stat.sizeBytes > 0) {
        const text = `its slot is not empty: ${target} has ${stat.sizeBytes} bytes`;
        throw new BackupError("STORE_EXISTS", `Cannot create ${path}: ${text}`);
      }
    });
    return file.opened();
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const access = this.#access(path);
    if (access === undefined) return this.#options.below.open(path, mode);
    return new ChangerFile(access, this.#options.below, mode).opened();
  }

  async stat(path: string): Promise<StoreStat | undefined> {
    const { below } = this.#options;
    const access = this.#access(path);
    if (access === undefined) return below.stat(path);
    if ((await this.slotOf(access.volume)) === 0) return undefined;
    // An empty file in a slot is what a blank medium is: no volume is there.
    const stat = await access.use((target) => below.stat(target));
    return stat?.sizeBytes === 0 ? undefined : stat;
  }

  async list(directory: string): Promise<string[]> {
    for (const device of this.#options.devices().values()) {
      if (device.archiveDevice !== directory || !isScripted(device)) continue;
      const names = this.#devicesOf(device.drive!.changer).map(({ name }) => name);
      return (await this.#options.catalog.volumes(names)).sort();
    }
    return this.#options.below.list(directory);
  }

  /** In a changer the file stays where it is: its label has the name. */
  async rename(from: string, to: string): Promise<void> {
    if (this.#access(from) === undefined) await this.#options.below.rename(from, to);
  }

  /** A slot's file becomes empty: the slot can be labelled again. */
  async unlink(path: string): Promise<void> {
    const { below } = this.#options;
    const access = this.#access(path);
    if (access === undefined) return below.unlink(path);
    await access.use(async (target) => {
      const file = await below.open(target, "append");
      try {
        await file.truncate(0);
        await file.sync();
      } finally {
        await file.close();
      }
    });
  }

  async syncDirectory(directory: string): Promise<void> {
    for (const device of this.#options.devices().values())
      if (device.archiveDevice === directory && isScripted(device)) return;
    await this.#options.below.syncDirectory(directory);
  }
}

/** The store as far as it knows of autochangers; undefined: there are none. */
export function changersOf(store: Store): ChangerStore | undefined {
  return store instanceof ChangerStore ? store : undefined;
}

/** The file that a drive's link points to, which need not exist yet; the path itself where it is no link. */
async function targetOf(archiveDevice: string): Promise<string> {
  try {
    return await realpath(archiveDevice);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw linkError(archiveDevice, error);
  }
  try {
    if ((await lstat(archiveDevice)).isSymbolicLink())
      return resolve(await realpath(dirname(archiveDevice)), await readlink(archiveDevice));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw linkError(archiveDevice, error);
  }
  return archiveDevice;
}

function linkError(path: string, cause: unknown): BackupError {
  const text = `${path} cannot be followed to the slot's file`;
  return new BackupError("VOLUME_NOT_LOADED", text, { cause, retry: "later" });
}
