/**
 * A storage daemon on one thread over a Disk: the real sessions, desk, catalog methods and recovery, without
 * network and worker threads. Every step of its durable I/O passes a StepHook.
 */

import { randomUUID } from "node:crypto";
import { BackupError } from "../../common/errors.js";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { GarbledInput } from "../../common/format/varint.js";
import { createLog } from "../../common/log.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { Catalog } from "../catalog/catalog.js";
import type { Db } from "../catalog/schema.js";
import type { JobListing } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { DeviceResource } from "../config.js";
import { recoverStorage } from "../recover.js";
import { JobDeleter } from "../retention/delete.js";
import { ListKeeper } from "../retention/list-keeper.js";
import { deleteMigrated } from "../retention/migrated.js";
import { BackupSession } from "../session/backup-session.js";
import { FakeFiled, streamPair } from "../session/fake-filed.js";
import { POOL } from "../session/testing.js";
import { VolumeDesk } from "../session/volume-desk.js";
import { VolumeFiles } from "../session/volume-files.js";
import type { MemoryStore } from "../store/memory-store.js";
import { checkDataFrame, unpackFrame } from "../volume/frame-check.js";
import type { FrameToVerify, FrameVerifier } from "../volume/verify.js";
import { type Disk, VOLUMES } from "./disk.js";
import { sendTree } from "./model-filed.js";
import type { ModelFiledOptions } from "./model-options.js";
import { restoreTree } from "./model-restore.js";
import { type CallHook, type CommitHook, openNearCatalog } from "./near-catalog.js";
import { reloadHere } from "./near-reload.js";
import { Operations } from "./operations.js";
import type { ModelTree, Snapshot } from "./tree.js";

export const DEVICE: DeviceResource = {
  name: "FileDevice",
  mediaType: "File",
  archiveDevice: VOLUMES,
  labelMedia: true,
  maximumVolumeSize: 0,
  maximumConcurrentJobs: 10,
  enabled: true,
  readOnly: false,
};

export interface Wanted extends ModelFiledOptions {
  jobId: number;
  /** (Default: Full) */
  level?: string;
  /** (Default: vm) */
  jobName?: string;
  base?: string[];
  pool?: string;
  /** It goes on with the incomplete run of this JobId. */
  resume?: boolean;
}

export interface Outcome {
  jobId: number;
  result: JobResult;
  /** What filed heard: "" after a commit. */
  refusal: string;
}

const log = createLog("test", { level: "silent" });
const scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);

/** The verifier's checks without its threads. */
export const nearVerifier = {
  verify: async ({ data, entries, rawBytes }: FrameToVerify, jobId: number): Promise<void> => {
    try {
      checkDataFrame(unpackFrame(scratch, data, rawBytes), entries, jobId);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      throw new BackupError("FRAME_REFUSED", `Frame refused: ${error.message}`);
    }
  },
  close: async () => undefined,
} as unknown as FrameVerifier;

export interface NearOptions {
  pools?: readonly PoolDefinition[];
  beforeCommit?: CommitHook;
  /** Called when the catalog is open and nothing was done yet. */
  opened?: (daemon: NearDaemon) => void;
}

export class NearDaemon {
  readonly disk: Disk;
  readonly store: MemoryStore;
  readonly catalog: Catalog;
  readonly db: Db;
  readonly desk: VolumeDesk;
  readonly files: VolumeFiles;
  readonly deleter: JobDeleter;
  readonly devices: ReadonlyMap<string, DeviceResource> = new Map([[DEVICE.name, DEVICE]]);
  readonly durableLog: () => number;
  readonly log = log;
  readonly verifier = nearVerifier;
  readonly operations: Operations;

  /** Awaited before each call of the catalog's writer; a test may hold one and do something else meanwhile. */
  beforeCall: CallHook = () => undefined;

  private constructor(disk: Disk, options: NearOptions) {
    this.disk = disk;
    this.store = disk.store;
    const near = openNearCatalog(disk.catalogFile, options.beforeCommit, (method) => this.beforeCall(method));
    this.catalog = near.catalog;
    this.db = near.db;
    this.durableLog = near.durableLog;
    const { catalog, store } = this;
    catalog.keeper = new ListKeeper({ catalog, store, devices: () => this.devices, log, start: reloadHere });
    this.desk = new VolumeDesk({
      catalog,
      store,
      log,
      storage: "sd",
      devices: () => this.devices,
      recheckMs: 50,
    });
    this.files = new VolumeFiles({ catalog, store, log, storage: "sd" });
    this.deleter = new JobDeleter({ catalog, desk: this.desk, log });
    this.operations = new Operations(this);
  }

  /** Starts as the daemon does: opens the catalog, recovers what the last end left, takes the pools. */
  static async start(disk: Disk, options: NearOptions = {}): Promise<NearDaemon> {
    const daemon = new NearDaemon(disk, options);
    options.opened?.(daemon);
    try {
      const { catalog, store, files, desk, devices } = daemon;
      const { workingDirectory } = disk;
      const around = { files, desk, storage: "sd", devices, workingDirectory, log };
      await recoverStorage({ catalog, store, ...around });
      await daemon.deleter.resume();
      await deleteMigrated(catalog, daemon.deleter, log);
      await daemon.desk.admin.settlePurged();
      await catalog.writer.syncPools([...(options.pools ?? [POOL])]);
      return daemon;
    } catch (error) {
      await daemon.stop().catch(() => undefined);
      throw error;
    }
  }

  /** Closes the catalog; the disk stays. */
  stop(): Promise<void> {
    return this.catalog.close();
  }

  async backup(tree: ModelTree, wanted: Wanted): Promise<Outcome> {
    const { jobId, level = "Full", jobName = "vm", base = [], pool = POOL.name, resume = false } = wanted;
    const { catalog, desk, deleter, verifier } = this;
    const facts = { jobName, client: `${jobName}-fd`, fileSet: "All", fileSetDigest: "d" };
    const parents = await catalog.reader.resolve({ ...facts, level, base, ignoreFileSetChanges: false });
    const request: StorageBackup__Output = {
      ...{ ...facts, pool, jobId, jobUuid: randomUUID(), job: `${jobName}.${jobId}`, ticket: "t", parents },
      ...{ filedAddress: "", filedPort: 0, filedTimeoutSec: 5, scheduledMs: 0, device: "", comment: "" },
      spread: false,
      ...{
        allowIncomplete: resume || (wanted.leaves ?? wanted.marks) !== undefined,
        resume,
        compared: false,
        listsApart: false,
      },
    };
    const events: JobEvent[] = [];
    let refusal = "";
    let done: Promise<void> = Promise.resolve();
    const connect = async () => {
      const [mine, theirs] = streamPair();
      const fake = new FakeFiled(theirs, jobId, request.client);
      done = fake
        .greet()
        .then(() => sendTree(fake, tree, wanted))
        .catch((error: Error) => {
          refusal = error.message;
          theirs.destroy(error);
        });
      return { stream: mine, close: () => mine.destroy() };
    };
    const settle = deleter.settle.bind(deleter);
    const deps = {
      catalog,
      desk,
      verifier,
      log,
      storage: "sd",
      connect,
      session: { id: 1, timeMs: 0 },
      settle,
      // Each mark is followed by a checkpoint.
      ...(wanted.marks === undefined ? {} : { checkpoints: { bytes: 0 } }),
      dropReplaced: async () => (await deleteMigrated(catalog, deleter, log)).warnings,
    };
    const session = new BackupSession(deps, request, async (event) => void events.push(event));
    await session.run();
    await session.after;
    await done;
    return { jobId, result: events.at(-1)?.result ?? {}, refusal };
  }

  /** All jobs that the catalog lists as good, oldest first; not those whose migrated copy has taken their place. */
  async goodJobs(): Promise<JobListing[]> {
    const all = await this.jobs();
    return all.filter(({ status, type }) => (status === "T" || status === "W") && String(type) !== "M");
  }

  async jobs(): Promise<JobListing[]> {
    const query = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    return (await this.catalog.reader.listJobs(query)).reverse();
  }

  /** The whole tree of a job: its chain and Bases below it. */
  async restore(jobId: number): Promise<Snapshot> {
    const job = (await this.goodJobs()).find((listed) => listed.jobId === jobId);
    if (job === undefined) throw new Error(`job ${jobId} is not listed`);
    return this.restoreListed(job);
  }

  restoreListed({ chain, jobId }: JobListing): Promise<Snapshot> {
    const { catalog, store } = this;
    return restoreTree({ catalog, store, devices: () => this.devices }, [...chain, jobId]);
  }
}
