/** The volumes that are open for writing, and who uses them. Opening, closing and choosing happen one at a time. */

import { BackupError } from "../../common/errors.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { VolumeWriter } from "../volume/writer.js";
import type { VolumeFiles } from "./volume-files.js";
import type { OpenVolume } from "./volume-messages.js";

export class OpenVolumes {
  readonly #files: VolumeFiles;
  readonly #open = new Map<number, OpenVolume>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(files: VolumeFiles) {
    this.#files = files;
  }

  values(): Iterable<OpenVolume> {
    return this.#open.values();
  }

  get(volume: number): OpenVolume | undefined {
    return this.#open.get(volume);
  }

  has(volume: number): boolean {
    return this.#open.has(volume);
  }

  /** Jobs that write to a device. One that has filled a volume keeps it to its end, and goes on elsewhere. */
  writers(device: DeviceResource): number {
    let writers = 0;
    for (const { record, device: own, users } of this.#open.values())
      if (own.name === device.name && record.status === "Append") writers += users.size;
    return writers;
  }

  /** Is a drive of an autochanger taken by a volume that jobs write to? Other devices take any number. */
  isTaken(device: DeviceResource): boolean {
    return device.drive !== undefined && this.writers(device) > 0;
  }

  /** Runs `work` when no other choice is being made. It must not ask for a turn itself. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  add(record: VolumeRecord, device: DeviceResource, writer: VolumeWriter): OpenVolume {
    const open: OpenVolume = {
      ...{ record, device, writer, users: new Set<LocalJob>(), holds: 0 },
      ...{ plannedEnd: writer.bytes, leftovers: false },
    };
    this.#open.set(record.id, open);
    return open;
  }

  /** In turn: the open volume, or opens it. @throws as VolumeFiles.open, VOLUME_BROKEN */
  async mount(volume: VolumeRecord, device: DeviceResource): Promise<OpenVolume> {
    const known = this.#open.get(volume.id);
    if (known === undefined) return this.add(volume, device, await this.#files.open(volume, device));
    if (known.writer.broken) {
      const text = `Volume "${volume.name}" cannot be written any more after an error`;
      throw new BackupError("VOLUME_BROKEN", text);
    }
    // Until the first checkpoint only the writers know that the volume has been begun.
    if (known.users.size === 0) known.device = device;
    known.record = { ...volume, firstWrittenMs: volume.firstWrittenMs || known.record.firstWrittenMs };
    return known;
  }

  /** In turn: closes a volume that nobody uses any more; bytes of failed jobs at its end are cut off. */
  async unmount(open: OpenVolume): Promise<void> {
    if (open.users.size > 0 || open.holds > 0 || this.#open.get(open.record.id) !== open) return;
    this.#open.delete(open.record.id);
    await open.writer.close();
    if (open.leftovers) await this.#files.cutBack(open.record, open.device);
  }

  /**
   * Calls `work` with the writer of a volume, opened for it unless it is open anyway; jobs may write meanwhile.
   * @throws as `mount`
   */
  async holding<T>(
    find: () => Promise<{ volume: VolumeRecord; device: DeviceResource }>,
    work: (writer: VolumeWriter) => Promise<T>,
  ): Promise<T> {
    const open = await this.inTurn(async () => {
      const { volume, device } = await find();
      const mounted = await this.mount(volume, device);
      mounted.holds++;
      return mounted;
    });
    try {
      return await work(open.writer);
    } finally {
      open.holds--;
      await this.inTurn(() => this.unmount(open));
    }
  }
}
