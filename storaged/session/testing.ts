/** For tests: a storage daemon's parts without network, and a filed that says what a test wants it to say. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { BackupError } from "../../common/errors.js";
import { sha256 } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { BlockWriter, EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { tarHeader, tarPadding } from "../../common/format/tar.js";
import { Compressor } from "../../common/format/zstd.js";
import { createLog } from "../../common/log.js";
import {
  BackupKind,
  type BackupStart,
  type BackupTotals,
  decodeJson,
  encodeBlock,
  encodeFrame,
  encodeJson,
  encodeList,
} from "../../proto/data/backup.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import { type DataStream, PROTOCOL } from "../../proto/rpc.js";
import { Catalog } from "../catalog/catalog.js";
import type { ResolvedParents } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { DeviceResource } from "../config.js";
import { FileStore } from "../store/file-store.js";
import type { Store } from "../store/store.js";
import { FrameVerifier } from "../volume/verify.js";
import { BackupSession } from "./backup-session.js";
import { VolumeDesk } from "./volume-desk.js";

class Side implements DataStream {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly #queue: (Buffer | undefined)[] = [];
  #wake: () => void = () => undefined;
  other!: Side;

  async send(message: Buffer): Promise<void> {
    if (this.signal.aborted) throw this.signal.reason;
    this.other.#push(Buffer.from(message));
  }

  async end(): Promise<void> {
    if (!this.signal.aborted) this.other.#push(undefined);
  }

  destroy(error = new BackupError("CONNECTION_LOST", "the connection was given up")): void {
    this.#controller.abort(error);
    if (!this.other.signal.aborted) this.other.destroy(new BackupError("CONNECTION_LOST", "the connection is closed"));
    this.#wake();
  }

  #push(message: Buffer | undefined): void {
    this.#queue.push(message);
    this.#wake();
  }

  readonly incoming: AsyncIterable<Buffer> = this.#read();

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#queue.length === 0 && !this.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#queue.length === 0) throw this.signal.reason;
      const message = this.#queue.shift();
      if (message === undefined) return;
      yield message;
    }
  }
}

/** Two ends of one stream. */
export function streamPair(): [DataStream, DataStream] {
  const [a, b] = [new Side(), new Side()];
  a.other = b;
  b.other = a;
  return [a, b];
}

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
};

/** The parts of a storage daemon in a directory of its own. */
export class TestStorage {
  readonly directory = mkdtempSync(join(tmpdir(), "basalt-storaged-"));
  readonly verifier = new FrameVerifier({ workers: 1 });
  readonly store: Store;
  readonly devices = new Map<string, DeviceResource>();
  catalog!: Catalog;
  desk!: VolumeDesk;
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
    const { level = "Full", jobName = "vm", client = "vm-fd", base = [], pool = "Full-Pool" } = wanted;
    const facts = { jobName, client, fileSet: "All", fileSetDigest: "d" };
    const parents = await this.catalog.reader.resolve({ ...facts, level, base, ignoreFileSetChanges: false });
    const request: StorageBackup__Output = {
      ...{ ...facts, pool, jobId: ++this.#jobId, jobUuid: randomUUID(), job: `${jobName}.x`, ticket: "t" },
      ...{ filedAddress: "", filedPort: 0, parents, filedTimeoutSec: 5, scheduledMs: 0, device: "", comment: "" },
    };
    return new BackupRun(this, request, parents, filed);
  }
}

interface Wanted {
  level: string;
  jobName: string;
  client: string;
  base: string[];
  pool: string;
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
  ) {
    this.jobId = request.jobId;
    this.parents = parents;
    const { catalog, desk, verifier } = storage;
    const log = createLog("test", { level: "silent" });
    const connect = async () => {
      const [mine, theirs] = streamPair();
      this.fake = new FakeFiled(theirs, request.jobId, request.client);
      this.fake.done = this.fake.greet().then(() => filed(this.fake!));
      this.fake.done.catch((error) => theirs.destroy(error));
      return { stream: mine, close: () => mine.destroy() };
    };
    const deps = { catalog, desk, verifier, log, storage: "sd", connect, session: { id: 1, timeMs: 0 } };
    this.session = new BackupSession(deps, request, async (event) => void this.events.push(event));
  }

  run(): Promise<void> {
    return this.session.run();
  }

  get result(): JobResult {
    return this.events.at(-1)?.result ?? {};
  }

  get messages(): string[] {
    return this.events.flatMap(({ message }) => (message?.text === undefined ? [] : [message.text]));
  }
}

/** A file of a test's tree. */
export function fileRow(key: string, bytes: Buffer): Row {
  const content = bytes.length === 0 ? undefined : sha256(bytes);
  return { ...emptyRow(key, EntryType.file), mode: 0o644, mtimeSec: 1000, size: bytes.length, content };
}

export function directoryRow(key: string): Row {
  return { ...emptyRow(key, EntryType.directory), mode: 0o755, mtimeSec: 1000 };
}

const compressor = new Compressor(1);

/** What a frame message holds: whole files as members of job `jobId`. */
export function frameOf(jobId: number, files: readonly { key: string; bytes: Buffer }[]) {
  const pieces: Buffer[] = [];
  const entries: FrameEntry[] = [];
  let at = 0;
  for (const { key, bytes } of files) {
    const facts = { type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSec: 1000, mtimeNsec: 0 } as const;
    const header = tarHeader({ ...facts, name: `job${jobId}/${key.replaceAll("\0", "/")}`, size: bytes.length });
    entries.push({ digest: sha256(bytes), offset: at + header.length, length: bytes.length });
    const padding = Buffer.alloc(tarPadding(bytes.length));
    pieces.push(header, bytes, padding);
    at += header.length + bytes.length + padding.length;
  }
  return { rawBytes: at, entries, data: compressor.compress(Buffer.concat(pieces)) };
}

export function blockOf(rows: readonly Row[], state = false): Buffer {
  const writer = new BlockWriter({ state });
  for (const row of rows) writer.add(row);
  return writer.finish();
}

export const NO_TOTALS: BackupTotals = {
  ...{ files: 0, deleted: 0, examined: 0, bytes: 0, bytesRead: 0, bytesSent: 0 },
  ...{ baseFiles: 0, baseBytes: 0, usedFiles: 0, errors: 0, warnings: 0 },
};

/** filed's end of a backup stream. */
export class FakeFiled {
  readonly stream: DataStream;
  readonly jobId: number;
  readonly #client: string;
  readonly #incoming: AsyncIterator<Buffer>;
  start!: BackupStart;
  done: Promise<void> = Promise.resolve();

  constructor(stream: DataStream, jobId: number, client: string) {
    this.stream = stream;
    this.jobId = jobId;
    this.#client = client;
    this.#incoming = stream.incoming[Symbol.asyncIterator]();
  }

  async greet(): Promise<void> {
    const message = await this.receive();
    this.start = decodeJson<BackupStart>(message);
    await this.stream.send(encodeJson(BackupKind.hello, { protocol: PROTOCOL, client: this.#client }));
  }

  async receive(): Promise<Buffer> {
    const { value, done } = await this.#incoming.next();
    if (done === true) throw new Error("storaged closed the stream");
    return value;
  }

  /** All blocks of a list. */
  async list(list: number): Promise<Buffer[]> {
    const blocks: Buffer[] = [];
    for (;;) {
      await this.stream.send(encodeList(BackupKind.listCredit, list, Buffer.of(1)));
      const message = await this.receive();
      if (message[0] === BackupKind.listEnd) return blocks;
      blocks.push(message.subarray(2));
    }
  }

  frame(files: readonly { key: string; bytes: Buffer }[]): Promise<void> {
    const { rawBytes, entries, data } = frameOf(this.jobId, files);
    return this.stream.send(encodeFrame(rawBytes, entries, data));
  }

  rows(rows: readonly Row[]): Promise<void> {
    return this.stream.send(encodeBlock(BackupKind.rows, blockOf(rows)));
  }

  state(rows: readonly Row[]): Promise<void> {
    const states = rows.map(({ key, state }) => ({ ...emptyRow(key, EntryType.deleted), state }));
    return this.stream.send(encodeBlock(BackupKind.state, blockOf(states, true)));
  }

  /** Ends well and waits for the commit. */
  async end(totals: Partial<BackupTotals> = {}): Promise<void> {
    await this.stream.send(encodeJson(BackupKind.end, { ok: true, totals: { ...NO_TOTALS, ...totals } }));
    for (let message = await this.receive(); message[0] !== BackupKind.committed; message = await this.receive()) {
      if (message[0] === BackupKind.abort) throw new Error("refused");
    }
  }

  /** Files whole in one frame, with rows and states, to the end. */
  async tree(files: Readonly<Record<string, string>>, directories: readonly string[] = []): Promise<void> {
    const all = Object.entries(files).map(([key, text]) => ({ key: key.replaceAll("/", "\0"), bytes: Buffer.from(text) }));
    if (all.length > 0) await this.frame(all);
    const rows = [...all.map(({ key, bytes }) => fileRow(key, bytes)), ...directories.map(directoryRow)];
    rows.sort((a, b) => (a.key < b.key ? -1 : 1));
    await this.rows(rows);
    const state = { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 };
    await this.state(rows.map((row) => ({ ...row, state })));
    await this.end();
  }
}
