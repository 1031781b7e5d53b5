/**
 * The catalog against the volumes: `basalt check`, and the console's `check` while the daemon runs. Nothing that is
 * found is ever removed. With `repair` damaged copies are marked, so that nobody relies on them any more and the next
 * backup that meets the content stores it anew; marks of copies that are good after all are taken back; frames and
 * needs that the volumes prove are added to the catalog.
 */

import { basename } from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import { type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import type { DeviceResource } from "../config.js";
import { isUnlabelled } from "../session/volume-fit.js";
import type { Store } from "../store/store.js";
import { throttle } from "../throttle.js";
import { volumePath } from "../volume/label.js";
import type { FrameVerifier } from "../volume/verify.js";
import type { CheckMethods } from "./check-worker.js";
import { markFrame } from "./frame-marks.js";
import { ListCheck } from "./list-check.js";
import { type CheckOptions, type CheckSummary, type Finding, NOWHERE } from "./types.js";
import { VolumeCheck } from "./volume-check.js";

export interface CheckDeps {
  catalog: Catalog;
  store: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
  verifier: FrameVerifier;
  /** True while a job writes, or may write, to the volume. */
  inUse: (volume: number) => boolean;
}

export interface CheckTelling {
  finding: (finding: Finding) => Promise<void>;
  /** The volume that is being read, bytes so far. */
  progress: (volume: string, bytes: number) => Promise<void>;
}

/** Frames marked in one transaction. */
const MARK_FRAMES = 100;
const PROGRESS_MS = 1000;

/** Runs a check to its end. @throws BackupError VOLUME_UNKNOWN; whatever `signal` was aborted with */
export async function runCheck(
  deps: CheckDeps,
  options: CheckOptions,
  telling: CheckTelling,
  signal: AbortSignal = new AbortController().signal,
): Promise<CheckSummary> {
  const worker = new WorkerClient(new URL("./check-worker.js", import.meta.url), {
    checkCatalog: deps.catalog.file,
  });
  // A long question to SQLite must not outlive an interrupt.
  const stop = () => void worker.close();
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    return await new CheckRun({
      deps,
      options,
      telling,
      signal,
      thread: worker.remote<CheckMethods>(),
    }).run();
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", stop);
    await worker.close();
  }
}

/** What the parts of one check share. */
export class CheckRun {
  readonly deps: CheckDeps;
  readonly options: CheckOptions;
  readonly signal: AbortSignal;
  readonly thread: Remote<CheckMethods>;
  readonly summary: CheckSummary = { volumes: 0, frames: 0, bytes: 0, findings: 0, repaired: 0, jobIds: [] };
  /** Jobs with a closing frame that cannot be read. */
  readonly badClosing = new Set<LocalJob>();
  readonly #telling: CheckTelling;
  readonly #pause: (bytes: number) => Promise<void>;
  #toldAt = 0;
  #volume = "";

  constructor(parts: {
    deps: CheckDeps;
    options: CheckOptions;
    telling: CheckTelling;
    signal: AbortSignal;
    thread: Remote<CheckMethods>;
  }) {
    this.deps = parts.deps;
    this.options = parts.options;
    this.signal = parts.signal;
    this.thread = parts.thread;
    this.#telling = parts.telling;
    this.#pause = throttle(parts.options.bytesPerSec, parts.signal);
  }

  async run(): Promise<CheckSummary> {
    const { options, thread } = this;
    const volumes = await this.#volumes();
    const all = options.volume === "" && options.pool === "";
    for (const text of await thread.integrity(options.quick)) {
      await this.find({
        ...NOWHERE,
        kind: "catalog",
        text: `SQLite: ${text}; see docs/disaster-recovery.md`,
      });
    }
    if (all) await this.#strangers(volumes);
    const read: number[] = [];
    for (const record of volumes) if (await this.#volumeOf(record)) read.push(record.id);
    if (!options.quick) await this.#endRecords(all ? volumes.map(({ id }) => id) : read);
    if (options.repair) {
      await this.deps.catalog.writer.dropNotes();
      await this.#setAside();
    }
    if (!options.quick && all) await this.#orphans();
    const bad = await thread.badCount();
    if (!options.quick || bad > 0) await new ListCheck(this).check(volumes, all);
    return this.summary;
  }

  async find(finding: Finding): Promise<void> {
    this.summary.findings++;
    if (finding.repaired !== "") this.summary.repaired++;
    await this.#telling.finding(finding);
  }

  /** So many bytes of a volume were read: keeps to the limit and tells how far it is. */
  async passed(bytes: number): Promise<void> {
    this.summary.bytes += bytes;
    await this.#pause(bytes);
    if (monotonicMs() - this.#toldAt < PROGRESS_MS) return;
    this.#toldAt = monotonicMs();
    await this.#telling.progress(this.#volume, this.summary.bytes);
  }

  async #volumes(): Promise<VolumeRecord[]> {
    const { volume, pool } = this.options;
    const found = await this.deps.catalog.reader.listVolumes(pool, volume);
    if (found.length === 0 && volume !== "")
      throw new BackupError("VOLUME_UNKNOWN", `Volume "${volume}" is not in the catalog`);
    return found;
  }

  /** True when the volume was looked at. What is purged holds nothing that anybody needs. */
  async #volumeOf(record: VolumeRecord): Promise<boolean> {
    if (record.status === "Purged" || record.status === "Recycle" || isUnlabelled(record)) return false;
    const { catalog } = this.deps;
    const device = this.deps.devices().get(record.device);
    const jobIds = () => this.thread.jobsNeeding(record.id);
    if (device === undefined) {
      const text = `Device "${record.device}" is not configured`;
      await this.find({ ...NOWHERE, kind: "missing", volume: record.name, text, jobIds: await jobIds() });
      return false;
    }
    try {
      // A directory that cannot be read says nothing about the volumes in it.
      await this.deps.store.list(device.archiveDevice);
    } catch (error) {
      const text = `Device "${device.name}": ${describeError(error)}`;
      await this.find({ ...NOWHERE, kind: "missing", volume: record.name, text, jobIds: await jobIds() });
      return false;
    }
    const holder = `check ${record.id}`;
    if (!(await catalog.writer.hold(holder, [record.id]))) return false;
    this.summary.volumes++;
    this.#volume = record.name;
    try {
      const [now] = await catalog.reader.listVolumes("", record.name);
      await new VolumeCheck(this, now ?? record, volumePath(device.archiveDevice, record.name)).check();
    } finally {
      await catalog.writer.letGo(holder);
    }
    return true;
  }

  /** Files in the devices' directories that no volume of the catalog explains. */
  async #strangers(volumes: readonly VolumeRecord[]): Promise<void> {
    const { store, devices } = this.deps;
    const all = devices();
    const seen = new Set<string>();
    for (const { archiveDevice } of all.values()) {
      // Several devices may stand for one directory.
      if (seen.has(archiveDevice)) continue;
      seen.add(archiveDevice);
      const known = new Set(
        volumes
          .filter(({ device }) => all.get(device)?.archiveDevice === archiveDevice)
          .map((volume) => basename(volumePath(archiveDevice, volume.name))),
      );
      const files = await store.list(archiveDevice).catch(() => []);
      for (const file of files) {
        if (known.has(file)) continue;
        const text = `${archiveDevice}/${file} is no volume of the catalog`;
        await this.find({ ...NOWHERE, kind: "extra", text });
      }
    }
  }

  async #endRecords(volumes: readonly number[]): Promise<void> {
    for (const { jobId, job, volume } of await this.thread.endless(volumes)) {
      const text = `the end record of JobId ${jobId} (${job}) is missing: without the catalog the job could not be found; "rebase jobid=${jobId}" writes a new one`;
      await this.find({ ...NOWHERE, kind: "missing", volume, text, jobIds: [jobId] });
    }
  }

  /** From here on nobody relies on what was found bad. */
  async #setAside(): Promise<void> {
    for (let after = 0; ; ) {
      const frames = await this.thread.badFrames(after, MARK_FRAMES);
      if (frames.length === 0) return;
      for (const frame of frames) await markFrame(this.deps.catalog, frame, true);
      after = frames.at(-1)!;
      this.signal.throwIfAborted();
    }
  }

  async #orphans(): Promise<void> {
    const count = await this.thread.orphanChunks();
    if (count > 0)
      await this.find({
        ...NOWHERE,
        kind: "catalog",
        text: `${count} chunks lie in frames that are not in the catalog`,
      });
  }
}
