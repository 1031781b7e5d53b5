/**
 * Which volume a job gets, in Bacula's order: one in use or appendable, one that can be recycled, (pruning,) one of
 * the Scratch pool, a new one. Volumes that cannot be used are set aside with a word about why, and the next is
 * tried. All methods are called in turn (`OpenVolumes.inTurn`).
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import type { VolumeRecord } from "../catalog/types.js";
import { changersOf } from "../changer/changer-store.js";
import type { DeviceResource } from "../config.js";
import { AutoLabel } from "./auto-label.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { Reporter } from "./reporter.js";
import type { VolumeFiles, VolumeFilesOptions } from "./volume-files.js";
import { canRecycle, deviceFor, isTimeUp, isUnlabelled } from "./volume-fit.js";
import { type AcquireRequest, give, type OpenVolume, tellDevice } from "./volume-messages.js";

/** The pool that empty volumes are taken from when a pool names none. */
const SCRATCH = "Scratch";

/** Failures that may be gone the next time, and say nothing about the volume itself. */
const FOR_NOW: readonly string[] = [
  "STORE_DENIED",
  "STORE_FULL",
  "VOLUME_IN_USE",
  "VOLUME_READ_ONLY",
  "VOLUME_UNKNOWN",
  "VOLUME_NOT_LOADED",
];

export interface ChoiceOptions extends VolumeFilesOptions {
  devices: () => ReadonlyMap<string, DeviceResource>;
}

export class VolumeChoice {
  readonly #options: ChoiceOptions;
  readonly #open: OpenVolumes;
  readonly #files: VolumeFiles;
  readonly #labels: AutoLabel;

  constructor(options: ChoiceOptions, open: OpenVolumes, files: VolumeFiles) {
    this.#options = options;
    this.#open = open;
    this.#files = files;
    this.#labels = new AutoLabel(options, open, files);
  }

  /** The device among `free` that a volume is to be used in. */
  deviceFor(volume: VolumeRecord, free: readonly DeviceResource[]): DeviceResource | undefined {
    const { devices, store } = this.#options;
    const changers = changersOf(store);
    return deviceFor(volume, free, { open: this.#open, devices, changers });
  }

  #volumes(pool: string): Promise<VolumeRecord[]> {
    return this.#options.catalog.reader.listVolumes(pool, "");
  }

  /** A volume that can be appended to, or else one that can be recycled. */
  async existing(request: AcquireRequest, free: readonly DeviceResource[]): Promise<OpenVolume | undefined> {
    const volumes = await this.#volumes(request.pool.name);
    return (
      (await this.#appendable(request, volumes, free)) ?? (await this.#recyclable(request, volumes, free))
    );
  }

  async #appendable(
    request: AcquireRequest,
    volumes: readonly VolumeRecord[],
    free: readonly DeviceResource[],
  ): Promise<OpenVolume | undefined> {
    // Volumes in use come first, then those written last: as few as possible are begun.
    const order = (volume: VolumeRecord) =>
      this.#open.has(volume.id) ? Number.POSITIVE_INFINITY : volume.lastWrittenMs;
    const candidates = volumes.filter((volume) => volume.status === "Append" && volume.enabled);
    candidates.sort((a, b) => order(b) - order(a) || a.id - b.id);
    for (const volume of candidates) {
      const device = this.deviceFor(volume, free);
      if (device === undefined) continue;
      const users = this.#open.get(volume.id)?.users.size ?? 0;
      if (await this.expireIfDue(volume, users, request.reporter)) continue;
      if (volume.maxJobs > 0 && volume.jobs + users >= volume.maxJobs) continue;
      const open = await this.#mount(volume, device, request);
      if (open !== undefined) return open;
    }
    return undefined;
  }

  /** Marks a volume whose job count or time is up; true when it must not be begun any more. */
  async expireIfDue(volume: VolumeRecord, users: number, reporter: Reporter): Promise<boolean> {
    const { name, maxJobs, useDuration } = volume;
    let why = "";
    if (maxJobs > 0 && volume.jobs >= maxJobs && users === 0) why = `Max Volume jobs=${maxJobs} exceeded.`;
    else if (isTimeUp(volume)) why = `Max configured use duration=${useDuration} sec. exceeded.`;
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
    await tellDevice(device, request);
    try {
      const fresh = volume.firstWrittenMs === 0;
      const drive = await this.#loaded(volume, device, request);
      if (isUnlabelled(volume)) return await this.#added(volume, drive, request);
      const open = await this.#open.mount(volume, drive);
      // A volume that came from another pool says so on its label before anything is written to it.
      if (fresh && open.writer.label.pool !== volume.poolName && open.users.size + open.holds === 0) {
        await this.#open.unmount(open);
        return await this.#emptied(volume, drive, request, false);
      }
      return await give(open, request, fresh ? "prelabeled" : "previously written");
    } catch (error) {
      await this.#setAside(volume, device, error, request);
      return undefined;
    }
  }

  /** In an autochanger: loads the volume, and tells what is done for that; the drive that it is in. */
  async #loaded(volume: VolumeRecord, device: DeviceResource, request: AcquireRequest) {
    const changers = changersOf(this.#options.store);
    if (changers === undefined) return device;
    return changers.load(device, volume.name, (text) => request.reporter.message("info", text));
  }

  async #added(volume: VolumeRecord, device: DeviceResource, request: AcquireRequest) {
    if (device.labelMedia) return this.#labels.added(volume, device, request);
    const text = `it has no label, and Device "${device.name}" does not label by itself (LabelMedia)`;
    throw new BackupError("VOLUME_NOT_LOADED", `Volume "${volume.name}": ${text}`, { retry: "later" });
  }

  async #emptied(volume: VolumeRecord, device: DeviceResource, request: AcquireRequest, counted: boolean) {
    const { record, writer } = await this.#files.empty(volume, device, { status: "Append", counted });
    const open = this.#open.add(record, device, writer);
    return give(open, request, counted ? "recycled" : "prelabeled");
  }

  /** Purged volumes that may be used again, the oldest first; those whose recycling a crash ended before them. */
  async #recyclable(
    request: AcquireRequest,
    volumes: readonly VolumeRecord[],
    free: readonly DeviceResource[],
  ): Promise<OpenVolume | undefined> {
    const begun = (volume: VolumeRecord) => (volume.status === "Recycle" ? 0 : 1);
    const candidates = volumes.filter((volume) => canRecycle(volume) && !this.#open.has(volume.id));
    candidates.sort((a, b) => begun(a) - begun(b) || a.lastWrittenMs - b.lastWrittenMs || a.id - b.id);
    for (const volume of candidates) {
      const device = this.deviceFor(volume, free);
      const open = device === undefined ? undefined : await this.#recycle(volume, device, request);
      if (open !== undefined) return open;
    }
    return undefined;
  }

  async #recycle(volume: VolumeRecord, device: DeviceResource, request: AcquireRequest) {
    try {
      await tellDevice(device, request);
      while (!(await this.#options.catalog.writer.purgeStep(volume.id))) request.signal.throwIfAborted();
      return await this.#emptied(volume, await this.#loaded(volume, device, request), request, true);
    } catch (error) {
      request.signal.throwIfAborted();
      // Still needed: it was marked as Purged too early, and simply stays.
      if (codeOf(error) !== "VOLUME_IN_USE") await this.#setAside(volume, device, error, request);
      else this.#options.log.warn("volume cannot be recycled", { volume: volume.name, err: error });
      return undefined;
    }
  }

  /**
   * A volume that is not what it should be is taken out of use. One that cannot be reached for now stays as it is;
   * so does every volume of a device whose files are all gone: its file system is not mounted, most likely.
   */
  async #setAside(
    volume: VolumeRecord,
    device: DeviceResource,
    error: unknown,
    request: AcquireRequest,
  ): Promise<void> {
    const { log, catalog } = this.#options;
    const text = describeError(error);
    request.refused ??= new Map();
    if (request.refused.get(volume.name) !== text) {
      log.warn("volume cannot be used", { volume: volume.name, err: error });
      await request.reporter.message("warning", `Volume "${volume.name}" cannot be used: ${text}`);
    }
    request.refused.set(volume.name, text);
    const code = codeOf(error) ?? "";
    // What the catalog or the program could not do says nothing about the volume.
    if (!/^(STORE|VOLUME)_/.test(code)) throw error;
    if (FOR_NOW.includes(code)) return;
    if (code === "STORE_NOT_FOUND") await this.checkDevice(device);
    // While it is being emptied its record says nothing about the file: it stays in Recycle, for the next try.
    if ((await this.#statusOf(volume)) === "Recycle") return;
    await catalog.writer.setVolumeStatus(volume.id, "Error");
    await catalog.writer.countVolumeError(volume.id);
    request.refused.delete(volume.name);
    await request.reporter.message("info", `Marking Volume "${volume.name}" in Error in Catalog.`);
  }

  async #statusOf({ id, poolName }: VolumeRecord): Promise<string | undefined> {
    return (await this.#volumes(poolName)).find((one) => one.id === id)?.status;
  }

  /** @throws BackupError DEVICE_UNUSABLE when several volumes should be on the device and none is there */
  async checkDevice({ name, archiveDevice }: DeviceResource): Promise<void> {
    const { catalog, store } = this.#options;
    const all = await catalog.reader.listVolumes("", "");
    const known = new Set(
      all
        .filter((one) => one.device === name && one.status !== "Error" && !isUnlabelled(one))
        .map((volume) => volume.name),
    );
    const there = await store.list(archiveDevice).catch((error: unknown) => {
      if (codeOf(error) === "STORE_NOT_FOUND") return [];
      throw error;
    });
    if (known.size < 2 || there.some((file) => known.has(file))) return;
    const text = `Device "${name}": none of its ${known.size} Volumes is in ${archiveDevice}; is the file system mounted?`;
    throw new BackupError("DEVICE_UNUSABLE", text, { retry: "later" });
  }

  /** Takes an empty volume out of the Scratch pool. */
  async scratch(request: AcquireRequest, free: readonly DeviceResource[]): Promise<OpenVolume | undefined> {
    const { catalog } = this.#options;
    const { name, scratchPool, maximumVolumes } = request.pool;
    const from = scratchPool === "" ? SCRATCH : scratchPool;
    if (from === name) return undefined;
    const volumes = await this.#volumes(from);
    const candidates = volumes.filter(
      (volume) =>
        !this.#open.has(volume.id) &&
        ((volume.status === "Append" && volume.enabled && volume.firstWrittenMs === 0) || canRecycle(volume)),
    );
    const taken = (await this.#volumes(name)).length;
    if (candidates.length === 0 || (maximumVolumes > 0 && taken >= maximumVolumes)) return undefined;
    for (const volume of candidates) {
      const device = this.deviceFor(volume, free);
      if (device === undefined) continue;
      try {
        while (!(await catalog.writer.purgeStep(volume.id))) request.signal.throwIfAborted();
        const moved = await catalog.writer.moveVolume(volume.id, name);
        const text = `Using Volume "${volume.name}" from 'Scratch' pool.`;
        await request.reporter.message("info", from === SCRATCH ? text : text.replace("Scratch", from));
        await tellDevice(device, request);
        const drive = await this.#loaded(moved, device, request);
        if (isUnlabelled(moved)) return await this.#added(moved, drive, request);
        return await this.#emptied(moved, drive, request, volume.status !== "Append");
      } catch (error) {
        request.signal.throwIfAborted();
        if (codeOf(error) === "POOL_FULL") return undefined;
        await this.#setAside({ ...volume, poolName: name }, device, error, request);
      }
    }
    return undefined;
  }

  /** Labels a new volume, where pool and device allow it. @throws VOLUME_NAME_INVALID, DEVICE_UNUSABLE, STORE_ codes */
  async label(request: AcquireRequest, free: readonly DeviceResource[]): Promise<OpenVolume | undefined> {
    const { pool } = request;
    if (pool.labelFormat === "") return undefined;
    const numVols = (await this.#volumes(pool.name)).length;
    if (pool.maximumVolumes > 0 && numVols >= pool.maximumVolumes) return undefined;
    let full: unknown;
    for (const device of free) {
      if (!device.labelMedia) continue;
      await this.checkDevice(device);
      try {
        const open = await this.#labels.newVolume(device, numVols, request);
        if (open !== undefined) return open;
      } catch (error) {
        if (codeOf(error) === "VOLUME_NOT_LOADED") await this.#tellNone(device, error, request);
        else if (codeOf(error) !== "STORE_FULL") throw error;
        else full ??= error;
      }
    }
    if (full !== undefined) throw full;
    return undefined;
  }

  /** A changer that fails may do better next time: the job waits for that. */
  async #tellNone({ name }: DeviceResource, error: unknown, request: AcquireRequest): Promise<void> {
    const text = `Device "${name}" cannot label a new Volume: ${describeError(error)}`;
    if (request.toldNone === text) return;
    request.toldNone = text;
    this.#options.log.warn("no volume can be labelled", { device: name, err: error });
    await request.reporter.message("warning", text);
  }
}
