/**
 * Devices and the volumes that are open for writing. Jobs of one pool share a volume; every job holds what it uses
 * by `acquire` and gives it back by `release`. Volumes are chosen one job at a time.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import { encodeLabel, isVolumeName, volumePath } from "../volume/label.js";
import { VolumeWriter } from "../volume/writer.js";
import { labelNames } from "./label-format.js";
import type { Reporter } from "./reporter.js";
import { VolumeFiles, type VolumeFilesOptions } from "./volume-files.js";
import {
  type AcquireRequest,
  type OpenVolume,
  placeOf,
  tellDevice,
  tellMounted,
  tellWaiting,
} from "./volume-messages.js";

export interface DeskOptions extends VolumeFilesOptions {
  devices: () => ReadonlyMap<string, DeviceResource>;
}

export class VolumeDesk {
  readonly #options: DeskOptions;
  readonly #files: VolumeFiles;
  readonly #open = new Map<number, OpenVolume>();
  #turn: Promise<unknown> = Promise.resolve();
  #wakers = new Set<() => void>();

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#files = new VolumeFiles(options);
  }

  get openVolumes(): Iterable<OpenVolume> {
    return this.#open.values();
  }

  /** Something changed: jobs that wait for a volume look again. */
  wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  /**
   * A volume to append to; waits (state `waiting`) until there is one.
   * @throws BackupError DEVICE_UNKNOWN; the signal's reason
   */
  async acquire(request: AcquireRequest): Promise<OpenVolume> {
    let told = false;
    for (;;) {
      request.signal.throwIfAborted();
      const changed = this.#change(request.signal);
      const found = await this.#inTurn(() => this.#choose(request));
      if (found !== undefined) {
        changed.forget();
        if (told) await request.reporter.setState("running");
        return found;
      }
      if (!told) await tellWaiting(request, this.#options.storage);
      told = true;
      await changed.happened;
    }
  }

  /** Runs `work` when no other choice is being made. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #change(signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    let forget = () => {};
    const happened = new Promise<void>((resolve, reject) => {
      const waker = () => {
        forget();
        resolve();
      };
      const abort = () => {
        forget();
        reject(signal.reason);
      };
      forget = () => {
        this.#wakers.delete(waker);
        signal.removeEventListener("abort", abort);
      };
      this.#wakers.add(waker);
      signal.addEventListener("abort", abort, { once: true });
    });
    happened.catch(() => undefined);
    return { happened, forget };
  }

  #devicesFor(name: string): DeviceResource[] {
    const all = [...this.#options.devices().values()];
    const named = name === "" ? all : all.filter((device) => device.name === name);
    if (named.length === 0) throw new BackupError("DEVICE_UNKNOWN", `this storage has no Device "${name}"`);
    return named.filter((device) => device.enabled && !device.readOnly);
  }

  #writers(device: DeviceResource): number {
    let writers = 0;
    for (const open of this.#open.values()) if (open.device.name === device.name) writers += open.users.size;
    return writers;
  }

  async #choose(request: AcquireRequest): Promise<OpenVolume | undefined> {
    const devices = this.#devicesFor(request.device);
    const free = devices.filter((device) => this.#writers(device) < device.maximumConcurrentJobs);
    const volumes = await this.#options.catalog.reader.listVolumes(request.pool.name, "");
    // Volumes in use come first, then those written last: as few as possible are begun.
    const order = (volume: VolumeRecord) =>
      this.#open.has(volume.id) ? Number.POSITIVE_INFINITY : volume.lastWrittenMs;
    const candidates = volumes.filter((volume) => volume.status === "Append" && volume.enabled);
    candidates.sort((a, b) => order(b) - order(a) || a.id - b.id);
    for (const volume of candidates) {
      const device = free.find(
        ({ name, mediaType }) => name === volume.device && mediaType === volume.mediaType,
      );
      if (device === undefined) continue;
      const users = this.#open.get(volume.id)?.users.size ?? 0;
      if (await this.expireIfDue(volume, users, request.reporter)) continue;
      if (volume.maxJobs > 0 && volume.jobs + users >= volume.maxJobs) continue;
      const open = await this.#mount(volume, device, request);
      if (open !== undefined) return open;
    }
    for (const device of free) {
      const open = await this.#autoLabel(device, volumes, request);
      if (open !== undefined) return open;
    }
    return undefined;
  }

  /** Marks a volume whose job count or time is up; true when it must not be begun any more. */
  async expireIfDue(volume: VolumeRecord, users: number, reporter: Reporter): Promise<boolean> {
    const { name, maxJobs, useDuration, firstWrittenMs } = volume;
    let why = "";
    if (maxJobs > 0 && volume.jobs >= maxJobs && users === 0) why = `Max Volume jobs=${maxJobs} exceeded.`;
    else if (useDuration > 0 && firstWrittenMs > 0 && firstWrittenMs + useDuration * 1000 <= nowMs()) {
      why = `Max configured use duration=${useDuration} sec. exceeded.`;
    }
    if (why === "") return false;
    await this.#options.catalog.writer.setVolumeStatus(volume.id, "Used");
    await reporter.message("info", `${why} Marking Volume "${name}" as Used.`);
    return true;
  }

  /** Opens a volume (or joins its writers); undefined when its file cannot be used. */
  async #mount(
    volume: VolumeRecord,
    device: DeviceResource,
    request: AcquireRequest,
  ): Promise<OpenVolume | undefined> {
    const known = this.#open.get(volume.id);
    await tellDevice(device, request);
    if (known !== undefined) {
      if (known.writer.broken) return undefined;
      known.users.add(request.job);
      known.record = { ...known.record, jobs: volume.jobs };
      await tellMounted(known, request, "previously written");
      return known;
    }
    const path = volumePath(device.archiveDevice, volume.name);
    let writer: VolumeWriter;
    try {
      writer = await VolumeWriter.open(this.#options.store, path, volume.bytes);
    } catch (error) {
      await this.#setAside(volume, error, request.reporter);
      return undefined;
    }
    if (writer.label.volume !== volume.name) {
      await writer.close();
      const text = `${path} carries the label of Volume "${writer.label.volume}"`;
      await this.#setAside(volume, new BackupError("VOLUME_MISLABELED", text), request.reporter);
      return undefined;
    }
    const open = this.#add(volume, device, writer, request.job);
    const fresh = volume.firstWrittenMs === 0;
    await tellMounted(open, request, fresh ? "prelabeled" : "previously written");
    return open;
  }

  /** A volume that cannot be opened is taken out of use; a device that cannot be reached at all stays as it is. */
  async #setAside(volume: VolumeRecord, error: unknown, reporter: Reporter): Promise<void> {
    this.#options.log.warn("volume cannot be used", { volume: volume.name, err: error });
    await reporter.message("warning", `Volume "${volume.name}" cannot be used: ${describeError(error)}`);
    if (codeOf(error) === "STORE_DENIED") throw error;
    await this.#options.catalog.writer.setVolumeStatus(volume.id, "Error");
  }

  #add(record: VolumeRecord, device: DeviceResource, writer: VolumeWriter, job: LocalJob): OpenVolume {
    const users = new Set([job]);
    const open: OpenVolume = { record, device, writer, users, plannedEnd: writer.bytes, leftovers: false };
    this.#open.set(record.id, open);
    return open;
  }

  async #autoLabel(
    device: DeviceResource,
    volumes: readonly VolumeRecord[],
    request: AcquireRequest,
  ): Promise<OpenVolume | undefined> {
    const { pool, facts } = request;
    if (!device.labelMedia || pool.labelFormat === "") return undefined;
    if (pool.maximumVolumes > 0 && volumes.length >= pool.maximumVolumes) return undefined;
    const names = labelNames(pool.labelFormat, {
      ...facts,
      pool: pool.name,
      numVols: volumes.length,
      timeMs: nowMs(),
    });
    for (const name of names) {
      if (!isVolumeName(name)) {
        const text = `LabelFormat "${pool.labelFormat}" of Pool "${pool.name}" gives "${name}", which is no valid Volume name`;
        throw new BackupError("VOLUME_NAME_INVALID", text);
      }
      try {
        await tellDevice(device, request);
        const { record, writer } = await this.#files.create(name, pool.name, device, 0);
        const open = this.#add(record, device, writer, request.job);
        await request.reporter.message("info", `Labeled new Volume "${name}" on ${placeOf(device)}.`);
        await tellMounted(open, request, "prelabeled");
        return open;
      } catch (error) {
        const code = codeOf(error);
        if (code === "POOL_FULL") return undefined;
        if (code !== "VOLUME_EXISTS" && code !== "STORE_EXISTS") throw error;
      }
    }
    return undefined;
  }

  /** The `label` command. @throws as VolumeFiles.create, DEVICE_UNKNOWN */
  async label(
    name: string,
    pool: string,
    deviceName: string,
    slot: number,
  ): Promise<{ record: VolumeRecord; path: string }> {
    const device = this.#devicesFor(deviceName)[0];
    if (device === undefined)
      throw new BackupError("DEVICE_UNKNOWN", `Device "${deviceName}" is not for writing`);
    const made = await this.#inTurn(() => this.#files.create(name, pool, device, slot));
    await made.writer.close();
    this.wake();
    return { record: made.record, path: volumePath(device.archiveDevice, name) };
  }

  /** Gives a volume back; after a failed job its bytes are cut off when nobody else writes there. */
  async release(open: OpenVolume, job: LocalJob, failed: boolean): Promise<void> {
    open.users.delete(job);
    open.leftovers ||= failed;
    if (open.users.size === 0) await this.#inTurn(() => this.#unmount(open));
    this.wake();
  }

  async #unmount(open: OpenVolume): Promise<void> {
    if (open.users.size > 0 || this.#open.get(open.record.id) !== open) return;
    this.#open.delete(open.record.id);
    await open.writer.close();
    if (open.leftovers)
      await this.#files.cutBack(open.record, open.writer.path, encodeLabel(open.writer.label).length);
  }
}
