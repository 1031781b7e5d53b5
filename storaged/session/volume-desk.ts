/**
 * Devices and the volumes that are open for writing. Jobs of one pool share a volume; every job holds what it uses
 * by `acquire` and gives it back by `release`. Volumes are chosen one job at a time.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs, reportTime } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob, PoolRecord, VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { encodeLabel, isVolumeName, newLabel, volumePath } from "../volume/label.js";
import { VolumeWriter } from "../volume/writer.js";
import { type LabelFacts, labelNames } from "./label-format.js";
import type { Reporter } from "./reporter.js";

/** A volume that is open for writing. */
export interface OpenVolume {
  record: VolumeRecord;
  device: DeviceResource;
  writer: VolumeWriter;
  users: Set<LocalJob>;
  /** Bytes that appends already promised reach. */
  plannedEnd: number;
  /** A job that failed left bytes here that can be cut off once nobody writes. */
  leftovers: boolean;
}

export interface AcquireRequest {
  job: LocalJob;
  facts: Omit<LabelFacts, "numVols" | "timeMs" | "pool">;
  pool: PoolRecord;
  /** "": any. */
  device: string;
  reporter: Reporter;
  signal: AbortSignal;
  /** The job used another volume before: the message says so. */
  next: boolean;
  /** Set here: the device that the job's messages named last. */
  toldDevice?: string;
}

export interface DeskOptions {
  catalog: Catalog;
  store: Store;
  log: Log;
  storage: string;
  devices: () => ReadonlyMap<string, DeviceResource>;
}

const placeOf = (device: DeviceResource) => `File device "${device.name}" (${device.archiveDevice})`;

export class VolumeDesk {
  readonly #options: DeskOptions;
  readonly #open = new Map<number, OpenVolume>();
  #turn: Promise<unknown> = Promise.resolve();
  #wakers = new Set<() => void>();

  constructor(options: DeskOptions) {
    this.#options = options;
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
      if (!told) await this.#tellWaiting(request);
      told = true;
      await changed.happened;
    }
  }

  async #tellWaiting({ facts, pool, reporter }: AcquireRequest): Promise<void> {
    const text = `Job ${facts.job} is waiting. Cannot find any appendable volumes.`;
    const hint = `Please use the "label" command to create a new Volume for: Storage "${this.#options.storage}", Pool "${pool.name}".`;
    await reporter.message("mount", `${text}\n${hint}`);
    await reporter.setState("waiting", text);
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

  async #tellDevice(device: DeviceResource, request: AcquireRequest): Promise<void> {
    if (request.next || request.toldDevice === device.name) return;
    request.toldDevice = device.name;
    await request.reporter.message("info", `Using Device "${device.name}" to write.`);
  }

  /** Opens a volume (or joins its writers); undefined when its file cannot be used. */
  async #mount(
    volume: VolumeRecord,
    device: DeviceResource,
    request: AcquireRequest,
  ): Promise<OpenVolume | undefined> {
    const known = this.#open.get(volume.id);
    await this.#tellDevice(device, request);
    if (known !== undefined) {
      if (known.writer.broken) return undefined;
      known.users.add(request.job);
      known.record = { ...known.record, jobs: volume.jobs };
      await this.#tellMounted(known, request, "previously written");
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
    await this.#tellMounted(open, request, fresh ? "prelabeled" : "previously written");
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

  async #tellMounted(open: OpenVolume, request: AcquireRequest, how: string): Promise<void> {
    const { record, device, writer } = open;
    const { reporter, next } = request;
    const say = (text: string) => reporter.message("info", text);
    if (how === "prelabeled")
      await say(`Wrote label to prelabeled Volume "${record.name}" on ${placeOf(device)}`);
    if (how === "previously written") {
      await say(`Volume "${record.name}" previously written, moving to end of data.`);
      await say(`Ready to append to end of Volume "${record.name}" size=${writer.bytes}`);
    }
    if (next)
      await say(`New volume "${record.name}" mounted on ${placeOf(device)} at ${reportTime(nowMs())}.`);
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
        await this.#tellDevice(device, request);
        const { record, writer } = await this.#create(name, pool.name, device, 0);
        const open = this.#add(record, device, writer, request.job);
        await request.reporter.message("info", `Labeled new Volume "${name}" on ${placeOf(device)}.`);
        await this.#tellMounted(open, request, "prelabeled");
        return open;
      } catch (error) {
        const code = codeOf(error);
        if (code === "POOL_FULL") return undefined;
        if (code !== "VOLUME_EXISTS" && code !== "STORE_EXISTS") throw error;
      }
    }
    return undefined;
  }

  /** Makes the record and the file of a new volume. @throws VOLUME_EXISTS, STORE_EXISTS, POOL_FULL, STORE_ codes */
  async #create(name: string, pool: string, device: DeviceResource, slot: number) {
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

  /** The `label` command. @throws as #create, DEVICE_UNKNOWN */
  async label(
    name: string,
    pool: string,
    deviceName: string,
    slot: number,
  ): Promise<{ record: VolumeRecord; path: string }> {
    const device = this.#devicesFor(deviceName)[0];
    if (device === undefined)
      throw new BackupError("DEVICE_UNKNOWN", `Device "${deviceName}" is not for writing`);
    const made = await this.#inTurn(() => this.#create(name, pool, device, slot));
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
      await this.cutBack(open.record, open.writer.path, encodeLabel(open.writer.label).length);
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
