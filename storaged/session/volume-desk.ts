/**
 * Devices and the volumes that are open for writing. Jobs of one pool share a volume; every job holds what it uses
 * by `acquire` and gives it back by `release`. Volumes are chosen one job at a time; a job for which there is none
 * waits until an operator, a prune or another job changes that.
 */

import { BackupError, codeOf } from "../../common/errors.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import { changersOf } from "../changer/changer-store.js";
import { type DeviceResource, devicesNamed } from "../device-config.js";
import type { VolumeWriter } from "../volume/writer.js";
import { OpenVolumes } from "./open-volumes.js";
import type { Reporter } from "./reporter.js";
import { RoomMaker, type VolumeRetention } from "./room-maker.js";
import { VolumeAdmin } from "./volume-admin.js";
import { type ChoiceOptions, VolumeChoice } from "./volume-choice.js";
import { VolumeFiles } from "./volume-files.js";
import { isUnmounted } from "./volume-fit.js";
import {
  type AcquireRequest,
  type OpenVolume,
  tellBusy,
  tellUnmounted,
  tellWaiting,
} from "./volume-messages.js";
import { VolumeOrders } from "./volume-orders.js";

export interface DeskOptions extends ChoiceOptions {
  /** After how long a waiting job looks again although nothing was heard of. (Default: 60,000) */
  recheckMs?: number;
}

const RECHECK_MS = 60_000;
export class VolumeDesk {
  readonly #options: DeskOptions;
  readonly #open: OpenVolumes;
  readonly #choice: VolumeChoice;
  readonly #wakers = new Set<() => void>();
  readonly #room: RoomMaker;
  /** Changes of volumes that operators and retention ask for. */
  readonly admin: VolumeAdmin;
  /** What operators have done with devices and new volumes. */
  readonly orders: VolumeOrders;

  constructor(options: DeskOptions) {
    const files = new VolumeFiles(options);
    this.#options = options;
    this.#open = new OpenVolumes(files);
    this.#choice = new VolumeChoice(options, this.#open, files);
    this.#room = new RoomMaker(options, this.#open, options.recheckMs ?? RECHECK_MS);
    this.admin = new VolumeAdmin(options, this.#open, files, (byOperator) => {
      if (byOperator) this.changed();
      else this.wake();
    });
    this.orders = new VolumeOrders(options, this.#open, files, () => this.changed());
  }

  get openVolumes(): Iterable<OpenVolume> {
    return this.#open.values();
  }

  /** Who prunes and purges; until this is called nobody does. */
  setRetention(retention: VolumeRetention): void {
    this.#room.retention = retention;
  }

  /** An operator changed something: jobs that wait for a volume look again, and prune again. */
  changed(): void {
    this.#room.changes++;
    this.wake();
  }

  /** There may be a volume now: jobs that wait for one look again. */
  wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  /**
   * A volume to append to; waits (state `waiting`) until there is one.
   * @throws BackupError DEVICE_UNKNOWN, DEVICE_UNUSABLE; the signal's reason
   */
  async acquire(request: AcquireRequest): Promise<OpenVolume> {
    let told = "";
    for (;;) {
      request.signal.throwIfAborted();
      const changed = this.#change(request.signal);
      try {
        const devices = this.#devicesFor(request);
        const found = await this.#find(request, devices);
        if (found !== undefined) {
          if (told !== "") await request.reporter.setState("running");
          return found;
        }
        const why = this.#whyNot(devices);
        if (told !== why && why === "busy") await tellBusy(request);
        else if (told !== why && why === "unmounted") await tellUnmounted(request, devices);
        else if (told !== why) await tellWaiting(request, this.#options.storage, devices);
        told = why;
        await changed.happened;
      } finally {
        changed.forget();
      }
    }
  }

  #whyNot(devices: readonly DeviceResource[]): "busy" | "unmounted" | "volume" {
    const changers = changersOf(this.#options.store);
    if (devices.every((device) => isUnmounted(device, changers))) return "unmounted";
    return this.#idle(devices).length === 0 ? "busy" : "volume";
  }

  /** As `acquire`, but does not wait: undefined when there is no volume now. */
  async tryAcquire(request: AcquireRequest): Promise<OpenVolume | undefined> {
    try {
      return await this.#find(request, this.#devicesFor(request));
    } catch (error) {
      request.signal.throwIfAborted();
      if (codeOf(error) === "DEVICE_UNUSABLE" || codeOf(error) === "STORE_FULL") return undefined;
      throw error;
    }
  }

  #change(signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    let forget = () => {};
    const happened = new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      const timer = setTimeout(resolve, this.#options.recheckMs ?? RECHECK_MS);
      forget = () => {
        clearTimeout(timer);
        this.#wakers.delete(resolve);
        signal.removeEventListener("abort", abort);
      };
      this.#wakers.add(resolve);
      signal.addEventListener("abort", abort, { once: true });
    });
    happened.catch(() => undefined);
    return { happened, forget };
  }

  /** @throws BackupError DEVICE_UNKNOWN, DEVICE_UNUSABLE */
  #devicesFor({ device, avoid }: Pick<AcquireRequest, "device" | "avoid">): DeviceResource[] {
    const all = this.#options.devices();
    const named = device === "" ? [...all.values()] : devicesNamed(all, device);
    if (named.length === 0) throw new BackupError("DEVICE_UNKNOWN", `this storage has no Device "${device}"`);
    const usable = named.filter((one) => one.enabled && !one.readOnly && avoid?.has(one.name) !== true);
    if (usable.length > 0) return usable;
    const which = device === "" ? "no Device of this storage" : `Device "${device}" is not one that`;
    throw new BackupError("DEVICE_UNUSABLE", `${which} can be written to: disabled, read-only or full`);
  }

  #free(devices: readonly DeviceResource[]): DeviceResource[] {
    const changers = changersOf(this.#options.store);
    return devices.filter(
      (device) => this.#open.writers(device) < device.maximumConcurrentJobs && !isUnmounted(device, changers),
    );
  }

  /** Those that may take a volume which nobody writes to yet. */
  #idle(devices: readonly DeviceResource[]): DeviceResource[] {
    return this.#free(devices).filter((device) => !this.#open.isTaken(device));
  }

  /** One search through everything that may give the job a volume. */
  async #find(request: AcquireRequest, devices: readonly DeviceResource[]): Promise<OpenVolume | undefined> {
    const [pool] = await this.#options.catalog.reader.listPools(request.pool.name);
    if (pool !== undefined) request.pool = pool;
    const existing = () => this.#choice.existing(request, this.#free(devices));
    if (request.spread === true) {
      const alone = await this.#open.inTurn(() => this.#elsewhere(request, devices));
      if (alone !== undefined) return alone;
    }
    const found = await this.#open.inTurn(existing);
    if (found !== undefined || this.#idle(devices).length === 0) return found;
    // Not at every wake: pruning wakes others, and they this one.
    const asks = this.#room.mayAsk(request);
    if (asks && request.pool.autoPrune) await this.#room.prune(request, devices);
    try {
      const next = await this.#open.inTurn(async () => {
        const idle = this.#idle(devices);
        const spare = (await existing()) ?? (await this.#choice.scratch(request, idle));
        return spare ?? this.#choice.label(request, idle);
      });
      if (next !== undefined || !asks) return next;
    } catch (error) {
      // No room for a new one: an old one may do.
      const last = codeOf(error) === "STORE_FULL" && asks;
      const open = last ? await this.#room.lastResort(request, devices, existing) : undefined;
      if (open === undefined) throw error;
      return open;
    }
    return this.#room.lastResort(request, devices, existing);
  }

  /** A volume in a drive that no job writes in, where others are in use: the next one to be used, or a new one. */
  async #elsewhere(request: AcquireRequest, devices: readonly DeviceResource[]) {
    const idle = this.#idle(devices).filter(({ drive }) => drive !== undefined);
    if (idle.length === 0 || idle.length === devices.length) return undefined;
    const found = await this.#choice.existing(request, idle);
    if (found !== undefined) return found;
    return (await this.#choice.scratch(request, idle)) ?? this.#choice.label(request, idle);
  }

  /** Marks a volume whose job count or time is up; true when it must not be begun any more. */
  expireIfDue(volume: VolumeRecord, users: number, reporter: Reporter): Promise<boolean> {
    return this.#choice.expireIfDue(volume, users, reporter);
  }

  /** A volume is Full, Used or broken: whoever writes to it goes on to another one. */
  async mark(open: OpenVolume, status: string): Promise<void> {
    open.record = { ...open.record, status };
    await this.#options.catalog.writer.setVolumeStatus(open.record.id, status);
  }

  /**
   * Calls `work` with a volume's writer: the one that jobs use if it is mounted, else one opened at the volume's
   * committed bytes for as long as the work takes. Any status but Archive and Read-Only will do. `work` syncs what
   * it appends and records how far the volume then reaches; what it leaves beyond is cut off by the next opening.
   * @throws VOLUME_READ_ONLY, VOLUME_UNKNOWN and as VolumeFiles.open
   */
  withWriter<T>(
    volume: Pick<VolumeRecord, "id" | "name">,
    work: (writer: VolumeWriter) => Promise<T>,
  ): Promise<T> {
    return this.#open.holding(() => this.#writable(volume), work);
  }

  async #writable({ id, name }: Pick<VolumeRecord, "id" | "name">) {
    const volume = (await this.#options.catalog.reader.listVolumes("", name)).find((one) => one.id === id);
    if (volume === undefined)
      throw new BackupError("VOLUME_UNKNOWN", `Volume "${name}" is not in the catalog`);
    const device = this.#options.devices().get(volume.device);
    const { status } = volume;
    let why = "";
    if (status === "Archive" || status === "Read-Only") why = `its status is ${status}`;
    else if (device === undefined) why = `its Device "${volume.device}" is not configured`;
    else if (device.readOnly || !device.enabled) why = `its Device "${device.name}" is read-only or disabled`;
    if (why !== "" || device === undefined)
      throw new BackupError("VOLUME_READ_ONLY", `Volume "${name}" cannot be written to: ${why}`);
    return { volume, device };
  }

  /** The `label` command. @throws as VolumeOrders.label */
  label(volume: string, pool: string, device: string, slot: number) {
    return this.orders.label({ volume, pool, device, slot });
  }

  /** Runs `work` while no volume is opened, closed or chosen; it must not call the desk. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#open.inTurn(work);
  }

  /** Gives a volume back; after a failed job its bytes are cut off when nobody else writes there. */
  async release(open: OpenVolume, job: LocalJob, failed: boolean): Promise<void> {
    open.users.delete(job);
    open.leftovers ||= failed;
    if (open.users.size === 0) await this.#open.inTurn(() => this.#open.unmount(open));
    this.wake();
  }
}
