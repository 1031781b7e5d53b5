/**
 * Vacuum: counts what lives on volumes, and empties those that hold little of it. One at a time; jobs go on
 * meanwhile. A volume that is being written to is left alone; one that is emptied is written to no more.
 */

import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import { formatBytes } from "../../common/units.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import { type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import type { CountStart } from "../catalog/writer-vacuum.js";
import type { DeviceResource } from "../config.js";
import type { Reporter } from "../session/reporter.js";
import type { VolumeDesk } from "../session/volume-desk.js";
import type { Store } from "../store/store.js";
import { throttle } from "../throttle.js";
import { volumePath } from "../volume/label.js";
import type { FrameVerifier } from "../volume/verify.js";
import type { LiveMethods, LiveWorkerData } from "./live-worker.js";
import type { Retention } from "./retention.js";
import { VacuumTarget } from "./vacuum-target.js";
import { VolumeVacuum } from "./vacuum-volume.js";

export interface VacuumOptions {
  catalog: Catalog;
  desk: VolumeDesk;
  store: Store;
  verifier: FrameVerifier;
  retention: Pick<Retention, "exclusively">;
  devices: () => ReadonlyMap<string, DeviceResource>;
  /** For scratch files, called `vacuum-…`. */
  workingDirectory: () => string;
  /** Name of this storage daemon. */
  storage: () => string;
  log: Log;
  /** (Default: in a thread of its own) */
  count?: (data: LiveWorkerData) => OpenCount;
}

/** A count of live content under way. */
export interface OpenCount {
  live: Remote<LiveMethods>;
  /** Ends it, whatever it is at. */
  close: () => Promise<void>;
}

function countInThread(data: LiveWorkerData): OpenCount {
  const worker = new WorkerClient(new URL("./live-worker.js", import.meta.url), data);
  return { live: worker.remote<LiveMethods>(), close: () => worker.close() };
}

export interface VacuumOrder {
  /** "": all. */
  pool: string;
  volume: string;
  device: string;
  /** Only volumes of which less than this share of the bytes lives are emptied. */
  belowPercent: number;
  /** 0: no limit. */
  bytesPerSec: number;
  /** Counts only. */
  dry: boolean;
}

export interface VacuumOutcome {
  /** Stored bytes that were moved. */
  bytes: number;
  /** Frames that were moved. */
  frames: number;
  /** Names of volumes that nobody needs any more. */
  volumes: string[];
}

/** A volume with what lives on it. */
interface Measured {
  volume: VolumeRecord;
  liveBytes: number;
  /** Percent. */
  share: number;
}

const MARKED = "marked as Used";
const LOOKED_AT: readonly string[] = ["Append", "Full", "Used"];
/** Stands for a vacuum among the users of a volume: no job has such a number. */
const FIRST_USER: LocalJob = -(2 ** 50);

export class Vacuum {
  readonly #options: VacuumOptions;
  #running = false;
  #user = FIRST_USER;

  constructor(options: VacuumOptions) {
    this.#options = options;
  }

  /** @throws BackupError VACUUM_RUNNING, STORE_ and VOLUME_ codes; the signal's reason. What was moved stays moved. */
  async run(order: VacuumOrder, reporter: Reporter, signal: AbortSignal): Promise<VacuumOutcome> {
    if (this.#running)
      throw new BackupError("VACUUM_RUNNING", "a vacuum is running already", { retry: "later" });
    this.#running = true;
    try {
      return await this.#run(order, reporter, signal);
    } finally {
      this.#running = false;
    }
  }

  async #run(order: VacuumOrder, reporter: Reporter, signal: AbortSignal): Promise<VacuumOutcome> {
    const { catalog, workingDirectory } = this.#options;
    const volumes = await this.#volumes(order);
    const outcome: VacuumOutcome = { bytes: 0, frames: 0, volumes: [] };
    if (volumes.length === 0) {
      await reporter.message("info", "No Volumes found to vacuum.");
      return outcome;
    }
    const ids = volumes.map(({ id }) => id);
    const start = await catalog.writer.startCount(ids);
    const scratch = join(workingDirectory(), `vacuum-${randomUUID()}`);
    await mkdir(scratch, { recursive: true });
    const data: LiveWorkerData = {
      ...{ countCatalog: catalog.file, scratch: join(scratch, "live.db"), volumes: ids, counted: start.jobs },
    };
    const { live, close } = (this.#options.count ?? countInThread)(data);
    try {
      const counted = start.jobs.map(({ job }) => job);
      const count = () => this.#count(volumes, live, reporter, signal);
      const measured = await catalog.withLists(counted, count, signal);
      if (!order.dry) await this.#empty(measured, order, { live, start, reporter, signal, outcome });
      return outcome;
    } finally {
      await close();
      await rm(scratch, { recursive: true, force: true });
    }
  }

  async #volumes({ pool, volume, device }: VacuumOrder): Promise<VolumeRecord[]> {
    const all = await this.#options.catalog.reader.listVolumes(pool, volume);
    if (volume !== "" && all.length === 0)
      throw new BackupError("VOLUME_UNKNOWN", `Volume "${volume}" is not in the catalog`);
    return all.filter(
      (one) =>
        LOOKED_AT.includes(one.status) && one.firstWrittenMs > 0 && (device === "" || one.device === device),
    );
  }

  async #count(
    volumes: readonly VolumeRecord[],
    live: Remote<LiveMethods>,
    reporter: Reporter,
    signal: AbortSignal,
  ): Promise<Measured[]> {
    const { writer } = this.#options.catalog;
    const jobs = await live.jobs();
    for (let left = await live.step(); left > 0; left = await live.step()) {
      signal.throwIfAborted();
      await reporter.setProgress({ files: jobs - left });
    }
    const measured: Measured[] = [];
    for (const volume of volumes) {
      signal.throwIfAborted();
      const { bytes: liveBytes } = await live.total(volume.id);
      await writer.setLive(volume.id, liveBytes, nowMs());
      const share = (100 * liveBytes) / Math.max(1, volume.bytes);
      measured.push({ volume, liveBytes, share });
      const text = `${formatBytes(liveBytes)} of ${formatBytes(volume.bytes)} are in use (${Math.round(share)} %).`;
      await reporter.message("info", `Volume "${volume.name}": ${text}`);
    }
    return measured;
  }

  async #empty(measured: readonly Measured[], order: VacuumOrder, work: Work): Promise<void> {
    const low = measured.filter(({ share }) => share < order.belowPercent);
    low.sort((a, b) => a.liveBytes - b.liveBytes || a.volume.id - b.volume.id);
    const pause = throttle(order.bytesPerSec, work.signal);
    const targets = new Set<number>();
    const renewed = new Map<LocalJob, number>();
    for (const { volume } of low) {
      work.signal.throwIfAborted();
      if (targets.has(volume.id) || !(await this.#close(volume, work.reporter))) continue;
      await this.#emptyOne(volume, { ...work, pause, targets, renewed });
    }
  }

  /**
   * Nobody begins to write to the volume any more; false when somebody does already, or when it is not the volume any
   * more that was counted, which may be long ago: purged, used again, or taken out of use by an operator.
   */
  async #close({ id, name, uuid }: VolumeRecord, reporter: Reporter): Promise<boolean> {
    const { desk, catalog } = this.#options;
    const text = await desk.exclusively(async () => {
      if ([...desk.openVolumes].some(({ record }) => record.id === id))
        return "is being written to: left alone";
      const now = (await catalog.reader.listVolumes("", name)).find((one) => one.id === id);
      if (now === undefined || now.uuid !== uuid || !LOOKED_AT.includes(now.status))
        return `has changed since it was counted (${now?.status ?? "deleted"}): left alone`;
      if (now.status !== "Append") return "";
      await catalog.writer.setVolumeStatus(id, "Used");
      return MARKED;
    });
    if (text === MARKED)
      await reporter.message("info", `Marking Volume "${name}" as Used: it is being emptied.`);
    else if (text !== "") await reporter.message("info", `Volume "${name}" ${text}.`);
    return text === "" || text === MARKED;
  }

  async #emptyOne(volume: VolumeRecord, work: Emptying): Promise<void> {
    const { catalog, desk, store, verifier, retention } = this.#options;
    const { live, reporter, signal, pause, start, outcome, renewed } = work;
    const user = this.#user--;
    const holder = `vacuum ${user}`;
    const held = [volume.id];
    // Neither this volume nor those that take its content may be purged in between.
    if (!(await catalog.writer.hold(holder, held))) return;
    const onVolume = async (id: number) => {
      held.push(id);
      work.targets.add(id);
      await catalog.writer.hold(holder, held);
    };
    let target: VacuumTarget | undefined;
    let failed = true;
    try {
      const acquire = await this.#acquire(volume, user, reporter, signal);
      target = new VacuumTarget({ catalog, desk, store, acquire, onVolume }, volume.id);
      const records = new Map((await catalog.reader.listVolumes("", "")).map((one) => [one.id, one]));
      const pathOf = (id: number) => this.#pathOf(records.get(id));
      const shared = {
        catalog,
        desk,
        store,
        verifier,
        live,
        target,
        reporter,
        signal,
        pathOf,
        pause,
        renewed,
      };
      const exclusively = retention.exclusively.bind(retention);
      const { damaged } = start;
      const emptied = await new VolumeVacuum({ ...shared, exclusively, damaged }, volume).run();
      failed = false;
      await catalog.writer.letGo(holder);
      const purged = emptied && (await desk.admin.purge(volume)).purged;
      if (purged) outcome.volumes.push(volume.name);
      const moved = `${target.movedFrames} frames (${formatBytes(target.movedBytes)}) moved`;
      const end = purged ? "it is Purged now" : "it is still needed";
      await reporter.message("info", `Volume "${volume.name}": ${moved}; ${end}.`);
    } finally {
      outcome.bytes += target?.movedBytes ?? 0;
      outcome.frames += target?.movedFrames ?? 0;
      try {
        await target?.release(failed);
      } finally {
        await catalog.writer.letGo(holder);
      }
    }
  }

  #pathOf(volume: VolumeRecord | undefined): string | undefined {
    const device = volume === undefined ? undefined : this.#options.devices().get(volume.device);
    return device === undefined ? undefined : volumePath(device.archiveDevice, volume!.name);
  }

  async #acquire(volume: VolumeRecord, job: LocalJob, reporter: Reporter, signal: AbortSignal) {
    const [pool] = await this.#options.catalog.reader.listPools(volume.poolName);
    if (pool === undefined)
      throw new BackupError("POOL_UNKNOWN", `Pool "${volume.poolName}" is not known to this storage`);
    const facts = {
      ...{ job: "vacuum", jobName: "vacuum", jobId: 0, level: "", client: "", type: "Admin" },
      storage: this.#options.storage(),
    };
    return { job, facts, pool, device: "", reporter, signal };
  }
}

interface Work {
  live: Remote<LiveMethods>;
  start: CountStart;
  reporter: Reporter;
  signal: AbortSignal;
  outcome: VacuumOutcome;
}

interface Emptying extends Work {
  pause: (bytes: number) => Promise<void>;
  /** Volumes that took content in this run. */
  targets: Set<number>;
  renewed: Map<LocalJob, number>;
}
