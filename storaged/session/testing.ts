/** For tests: a storage daemon's parts without network, and a filed that says what a test wants it to say. */

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../common/log.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { DataStream } from "../../proto/rpc.js";
import { Catalog } from "../catalog/catalog.js";
import type { ResolvedParents } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { DeviceResource } from "../config.js";
import { JobDeleter } from "../retention/delete.js";
import { deleteMigrated } from "../retention/migrated.js";
import { FileStore } from "../store/file-store.js";
import type { Store } from "../store/store.js";
import { FrameVerifier } from "../volume/verify.js";
import { BackupSession } from "./backup-session.js";
import { FakeFiled, streamPair } from "./fake-filed.js";
import type { FiledMethod, FiledPlace } from "./session-deps.js";
import { VolumeDesk } from "./volume-desk.js";

export const POOL: PoolDefinition = {
  name: "Full-Pool",
  poolType: "Backup",
  deduplicate: true,
  dedupScope: "pool",
  maximumVolumes: 0,
  maximumVolumeBytes: 0,
  maximumVolumeJobs: 0,
  volumeUseDuration: 0,
  volumeRetention: 0,
  autoPrune: false,
  recycle: false,
  labelFormat: "Vol-",
  scratchPool: "",
  recyclePool: "",
  nextPool: "",
  recycleOldestVolume: false,
  recycleCurrentVolume: false,
  purgeOldestVolume: false,
  truncateOnPurge: false,
};

/** The parts of a storage daemon in a directory of its own. */
export class TestStorage {
  readonly directory = mkdtempSync(join(tmpdir(), "basalt-storaged-"));
  readonly verifier = new FrameVerifier({ workers: 1 });
  readonly store: Store;
  readonly devices = new Map<string, DeviceResource>();
  catalog!: Catalog;
  desk!: VolumeDesk;
  deleter!: JobDeleter;
  #jobId = 0;

  constructor(store: Store = new FileStore()) {
    this.store = store;
    this.devices.set("FileDevice", {
      name: "FileDevice",
      mediaType: "File",
      archiveDevice: this.directory,
      labelMedia: true,
      maximumVolumeSize: 0,
      maximumConcurrentJobs: 10,
      enabled: true,
      readOnly: false,
    });
  }

  async open(pools: readonly PoolDefinition[] = [POOL]): Promise<this> {
    this.catalog = await Catalog.open(join(this.directory, "catalog.db"), () => undefined);
    await this.catalog.writer.syncPools([...pools]);
    this.reopenDesk();
    return this;
  }

  /** Forgets which volumes are open, as a new process would. */
  reopenDesk(): void {
    const { catalog, store } = this;
    const log = createLog("test", { level: "silent" });
    this.desk = new VolumeDesk({ catalog, store, log, storage: "sd", devices: () => this.devices });
    this.deleter = new JobDeleter({ catalog, desk: this.desk, log });
  }

  async close(): Promise<void> {
    await this.catalog.close();
    await this.verifier.close();
    rmSync(this.directory, { recursive: true });
  }

  /** A backup by `filed`; parents are resolved as for the wanted level. */
  async backup(filed: (fake: FakeFiled) => Promise<void>, wanted: Partial<Wanted> = {}): Promise<BackupRun> {
    const session = await this.session(filed, wanted);
    await session.run();
    return session;
  }

  async session(filed: (fake: FakeFiled) => Promise<void>, wanted: Partial<Wanted> = {}): Promise<BackupRun> {
    const {
      level = "Full",
      jobName = "vm",
      client = "vm-fd",
      base = [],
      pool = "Full-Pool",
      spread = false,
    } = wanted;
    const facts = { jobName, client, fileSet: "All", fileSetDigest: "d" };
    const parents = await this.catalog.reader.resolve({ ...facts, level, base, ignoreFileSetChanges: false });
    const request: StorageBackup__Output = {
      ...{ ...facts, pool, jobId: ++this.#jobId, jobUuid: randomUUID(), job: `${jobName}.x`, ticket: "t" },
      ...{
        filedAddress: "",
        filedPort: 0,
        parents,
        filedTimeoutSec: 5,
        scheduledMs: 0,
        device: "",
        comment: "",
        spread,
        allowIncomplete: wanted.allowIncomplete ?? false,
        resume: wanted.resume !== undefined,
        compared: wanted.compared === true,
        listsApart: wanted.listsApart !== undefined,
      },
      ...(wanted.resume === undefined ? {} : { jobId: wanted.resume }),
    };
    return new BackupRun(this, request, parents, filed, wanted);
  }
}

interface Wanted {
  level: string;
  jobName: string;
  client: string;
  base: string[];
  pool: string;
  spread: boolean;
  allowIncomplete: boolean;
  /** A Base is compared with the one in force. */
  compared: boolean;
  /** A checkpoint follows each mark. */
  checkpoints: boolean;
  /** JobId of the incomplete run to go on with. */
  resume: number;
  /** Gets filed's end of a call of their own that lists come in. */
  listsApart: (lists: DataStream) => void;
}

/** One run with everything it reported. */
export class BackupRun {
  readonly jobId: number;
  readonly parents: ResolvedParents;
  readonly events: JobEvent[] = [];
  readonly session: BackupSession;
  fake: FakeFiled | undefined;

  constructor(
    storage: TestStorage,
    request: StorageBackup__Output,
    parents: ResolvedParents,
    filed: (fake: FakeFiled) => Promise<void>,
    wanted: Partial<Wanted> = {},
  ) {
    this.jobId = request.jobId;
    this.parents = parents;
    const { catalog, desk, verifier, deleter } = storage;
    const log = createLog("test", { level: "silent" });
    const checkpoints = wanted.checkpoints === true ? { bytes: 0 } : undefined;
    const connect = async (_place: FiledPlace, method?: FiledMethod) => {
      const [mine, theirs] = streamPair();
      if (method === "Lists") {
        wanted.listsApart!(theirs);
        return { stream: mine, close: () => mine.destroy() };
      }
      this.fake = new FakeFiled(theirs, request.jobId, request.client);
      this.fake.done = this.fake.greet().then(() => filed(this.fake!));
      this.fake.done.catch((error) => theirs.destroy(error));
      return { stream: mine, close: () => mine.destroy() };
    };
    const deps = {
      catalog,
      desk,
      verifier,
      log,
      storage: "sd",
      connect,
      session: { id: 1, timeMs: 0 },
      checkpoints,
      settle: deleter.settle.bind(deleter),
      dropReplaced: async () => (await deleteMigrated(catalog, deleter, log)).warnings,
    };
    this.session = new BackupSession(deps, request, async (event) => void this.events.push(event));
  }

  async run(): Promise<void> {
    await this.session.run();
    await this.session.after;
  }

  get result(): JobResult {
    return this.events.at(-1)?.result ?? {};
  }

  get messages(): string[] {
    return this.events.flatMap(({ message }) => (message?.text === undefined ? [] : [message.text]));
  }
}
