/**
 * Makes room for a job that found no volume: asks retention to prune or purge, as its pool allows. Nothing here runs
 * in turn: retention uses the desk itself.
 */

import { monotonicMs, nowMs } from "../../common/time.js";
import type { VolumeRecord } from "../catalog/types.js";
import type { DeviceResource } from "../config.js";
import type { OpenVolumes } from "./open-volumes.js";
import type { ChoiceOptions } from "./volume-choice.js";
import { reaches } from "./volume-fit.js";
import type { AcquireRequest, OpenVolume } from "./volume-messages.js";

/** What the desk asks of retention when a job finds no volume. Never called in turn: it may use the desk. */
export interface VolumeRetention {
  /**
   * Removes the jobs on these volumes whose retention is over; volumes that nobody needs become Purged. False when
   * it was not done now and the desk is woken when it can be.
   */
  pruneExpired: (volumes: readonly VolumeRecord[]) => Promise<boolean>;
  /** Removes the jobs on a volume, whatever its retention; nothing happens when a job elsewhere needs them. */
  purge: (volume: VolumeRecord) => Promise<boolean>;
}

/** Volumes whose jobs may be pruned or purged to make room. */
const WRITTEN: readonly string[] = ["Append", "Full", "Used"];

export class RoomMaker {
  readonly #options: ChoiceOptions;
  readonly #open: OpenVolumes;
  readonly #againMs: number;
  /** Who prunes and purges; undefined: nobody does. */
  retention: VolumeRetention | undefined;
  /** Counts what operators changed. */
  changes = 0;

  /** `againMs`: after how long retention is asked again for the same job. */
  constructor(options: ChoiceOptions, open: OpenVolumes, againMs: number) {
    this.#options = options;
    this.#open = open;
    this.#againMs = againMs;
  }

  /** May retention be asked again for this job: an operator changed something, or some time has passed? */
  mayAsk(request: AcquireRequest): boolean {
    const { asked } = request;
    const now = monotonicMs();
    const again = now - (asked?.atMs ?? 0) >= this.#againMs;
    if (asked !== undefined && asked.changes === this.changes && !again) return false;
    request.asked = { atMs: now, changes: this.changes };
    return true;
  }

  /** Volumes of the pool that could be emptied for the job, the oldest first. */
  async #written({ pool }: AcquireRequest, devices: readonly DeviceResource[]): Promise<VolumeRecord[]> {
    const volumes = await this.#options.catalog.reader.listVolumes(pool.name, "");
    const mine = (volume: VolumeRecord) =>
      WRITTEN.includes(volume.status) && volume.recycle && volume.enabled && !this.#open.has(volume.id);
    const homes = this.#options.devices();
    const within = (volume: VolumeRecord) =>
      devices.some((device) => reaches(device, volume, homes.get(volume.device)));
    return volumes
      .filter((volume) => mine(volume) && within(volume))
      .sort((a, b) => a.lastWrittenMs - b.lastWrittenMs || a.id - b.id);
  }

  /** AutoPrune: prunes what is over on all volumes of the pool that the job could use. */
  async prune(request: AcquireRequest, devices: readonly DeviceResource[]): Promise<void> {
    await this.#pruneExpired(request, await this.#written(request, devices));
  }

  /** Prunes those whose retention is over. A failure is told, and is no failure of the job. */
  async #pruneExpired(request: AcquireRequest, volumes: readonly VolumeRecord[]): Promise<void> {
    const over = ({ retention, lastWrittenMs }: VolumeRecord) =>
      retention > 0 && lastWrittenMs > 0 && lastWrittenMs + retention * 1000 <= nowMs();
    const expired = volumes.filter(over);
    if (expired.length > 0) await this.#ask(request, (retention) => retention.pruneExpired(expired));
  }

  async #ask(request: AcquireRequest, work: (retention: VolumeRetention) => Promise<boolean>): Promise<void> {
    try {
      const done = this.retention === undefined || (await work(this.retention));
      if (!done) request.asked = undefined;
    } catch (error) {
      this.#options.log.warn("pruning for a job that needs a volume failed", { err: error });
      request.signal.throwIfAborted();
    }
  }

  /** Recycle Oldest, Recycle Current, Purge Oldest Volume. */
  async lastResort(
    request: AcquireRequest,
    devices: readonly DeviceResource[],
    existing: () => Promise<OpenVolume | undefined>,
  ): Promise<OpenVolume | undefined> {
    const { pool, reporter } = request;
    const { recycleOldestVolume, recycleCurrentVolume, purgeOldestVolume } = pool;
    if (!recycleOldestVolume && !recycleCurrentVolume && !purgeOldestVolume) return undefined;
    const volumes = await this.#written(request, devices);
    if (recycleOldestVolume) await this.#pruneExpired(request, volumes);
    else if (recycleCurrentVolume) await this.#pruneExpired(request, volumes.slice(-1));
    const found = await this.#open.inTurn(existing);
    if (found !== undefined || !purgeOldestVolume) return found;
    for (const volume of volumes) {
      request.signal.throwIfAborted();
      await reporter.message("info", `Purging oldest volume "${volume.name}"`);
      await this.#ask(request, (retention) => retention.purge(volume));
      const open = await this.#open.inTurn(existing);
      // One is enough: if it cannot be used now, nothing is won by giving up the next.
      if (open !== undefined || request.asked === undefined || (await this.#isPurged(volume))) return open;
    }
    return undefined;
  }

  async #isPurged({ name }: VolumeRecord): Promise<boolean> {
    const [volume] = await this.#options.catalog.reader.listVolumes("", name);
    return volume?.status === "Purged";
  }
}
