/**
 * One restore at the storage daemon: plans it, waits for filed's call, streams the plan with the frames it needs.
 * What cannot be read is told by name and counted; everything else goes on.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import { encodeJson } from "../../proto/data/backup.js";
import { RestoreKind } from "../../proto/data/restore.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { StorageRestore__Output } from "../../proto/generated/basalt/v1/StorageRestore.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { asBuffer, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { FrameSource } from "./frame-source.js";
import { Reporter } from "./reporter.js";
import { sendFrames } from "./restore-frames.js";
import type { PlanSummary } from "./restore-plan.js";
import type { PlanMethods } from "./restore-plan-worker.js";
import type { BlockKind } from "./restore-reading.js";

export interface RestoreDeps {
  catalog: Catalog;
  store: Store;
  log: Log;
  /** Scratch files are made here. */
  workingDirectory: string;
  devices: () => ReadonlyMap<string, DeviceResource>;
}

interface Plan {
  worker: WorkerClient;
  remote: Remote<PlanMethods>;
  directory: string;
  summary: PlanSummary;
}

const NO_SUMMARY: PlanSummary = {
  files: 0,
  bytes: 0,
  failed: 0,
  volumes: [],
  volumeIds: [],
  volumeUuids: [],
};

export class RestoreSession {
  readonly #deps: RestoreDeps;
  readonly #request: StorageRestore__Output;
  readonly #rules: SelectionRule[];
  readonly #abort = new AbortController();
  readonly #reporter: Reporter;
  readonly #startMs = nowMs();
  #canceled = false;
  #plan: Plan | undefined;
  /** The plan is whole and its volumes are held. */
  #ready = false;
  #failed = 0;
  #sentBytes = 0;
  #serving: DataStream | undefined;
  #served: () => void = () => undefined;
  readonly #done = new Promise<void>((resolve) => {
    this.#served = resolve;
  });
  #serveError: unknown;

  constructor(
    deps: RestoreDeps,
    request: StorageRestore__Output,
    rules: SelectionRule[],
    send: (event: JobEvent) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#request = request;
    this.#rules = rules;
    this.#reporter = new Reporter(send);
  }

  get jobUuid(): string {
    return this.#request.jobUuid;
  }

  get client(): string {
    return this.#request.client;
  }

  cancel(reason: string, orderly = true): void {
    this.#canceled ||= orderly;
    this.#abort.abort(new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason));
  }

  status(): StorageJobStatus {
    const { jobId, job } = this.#request;
    const { progress, state } = this.#reporter;
    return { jobId, job, kind: "Restore", state, progress, startedMs: this.#startMs };
  }

  /** Runs the restore to its end and reports the result; never rejects. */
  async run(): Promise<void> {
    try {
      this.#plan = await this.#build();
      this.#ready = true;
      await this.#reporter.setState("ready");
      await this.#waitForClient();
      const { files, bytes } = this.#plan.summary;
      const { volumes } = this.#plan.summary;
      const counts = { files: files - this.#failed, filesExpected: files, bytes, bytesSent: this.#sentBytes };
      await this.#reporter.result({ ok: true, ...counts, errors: this.#failed, volumes });
    } catch (cause) {
      const error = this.#abort.signal.aborted ? this.#abort.signal.reason : cause;
      if (!(error instanceof BackupError)) this.#deps.log.error("restore failed", { err: error });
      const filesExpected = this.#plan?.summary.files ?? 0;
      const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
      await this.#reporter.result({ ok: false, canceled, reason: describeError(error), filesExpected });
    } finally {
      if (this.#abort.signal.aborted) this.#serving?.destroy(this.#abort.signal.reason as Error);
      await this.#dropPlan();
    }
  }

  async #build(): Promise<Plan> {
    const { catalog, workingDirectory } = this.#deps;
    const directory = await mkdtemp(join(workingDirectory, "restore-"));
    const data = { readCatalogFile: catalog.file, scratch: join(directory, "plan.db") };
    const worker = new WorkerClient(new URL("./restore-plan-worker.js", import.meta.url), data);
    const remote = worker.remote<PlanMethods>();
    const plan: Plan = { worker, remote, directory, summary: NO_SUMMARY };
    this.#plan = plan;
    // Planning does not stop by itself: a cancel ends its thread.
    const abort = () => void worker.close();
    this.#abort.signal.addEventListener("abort", abort, { once: true });
    this.#abort.signal.throwIfAborted();
    const jobIds = this.#request.selection?.jobIds ?? [];
    const build = () => remote.build(jobIds, this.#rules);
    plan.summary = await catalog.withListsOf(jobIds, build, this.#abort.signal);
    this.#failed = plan.summary.failed;
    const { volumeIds, volumeUuids } = plan.summary;
    if (!(await catalog.writer.hold(this.jobUuid, volumeIds, volumeUuids))) {
      throw new BackupError(
        "VOLUME_PURGED",
        "a volume was purged while the restore was planned; run it again",
      );
    }
    return plan;
  }

  async #dropPlan(): Promise<void> {
    const plan = this.#plan;
    if (plan === undefined) return;
    await this.#deps.catalog.writer.letGo(this.jobUuid);
    await plan.worker.close();
    await rm(plan.directory, { recursive: true, force: true }).catch(() => undefined);
  }

  async #waitForClient(): Promise<void> {
    const limitMs = (this.#request.filedTimeoutSec || 1800) * 1000;
    const late = new BackupError("PEER_TIMEOUT", `client "${this.client}" did not fetch the restore in time`);
    const timer = setTimeout(() => {
      if (this.#serving === undefined) this.#abort.abort(late);
    }, limitMs);
    const aborted = new Promise<never>((_resolve, reject) => {
      const signal = this.#abort.signal;
      if (signal.aborted) reject(signal.reason);
      else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      await Promise.race([this.#done, aborted]);
    } finally {
      clearTimeout(timer);
    }
    if (this.#serveError !== undefined) throw this.#serveError;
  }

  /** Streams the plan to filed. Called once. @throws BackupError */
  async serve(stream: DataStream): Promise<void> {
    if (this.#serving !== undefined)
      throw new BackupError("RESTORE_TAKEN", "this restore is being fetched already");
    const plan = this.#plan;
    if (plan === undefined || !this.#ready)
      throw new BackupError("RESTORE_NOT_READY", "this restore is not planned yet");
    this.#serving = stream;
    try {
      await this.#reporter.setState("running");
      await this.#tellUnplaced(plan, stream);
      await this.#blocks(plan, stream, "make", RestoreKind.make);
      await this.#frames(plan, stream);
      await this.#blocks(plan, stream, "finish", RestoreKind.finish);
      await this.#tellLostLinks(plan, stream);
      await this.#blocks(plan, stream, "links", RestoreKind.links);
      await this.#blocks(plan, stream, "folders", RestoreKind.folders);
      const { files, bytes } = plan.summary;
      await stream.send(encodeJson(RestoreKind.end, { files, bytes, failed: this.#failed }));
      await stream.end();
    } catch (error) {
      this.#serveError = error;
      throw error;
    } finally {
      this.#served();
    }
  }

  async #blocks(plan: Plan, stream: DataStream, kind: BlockKind, wire: number): Promise<void> {
    const count = await plan.remote.blockCount(kind);
    for (let i = 0; i < count; i++) {
      const seq = kind === "folders" ? count - 1 - i : i;
      const block = await plan.remote.block(kind, seq);
      if (block !== undefined) await stream.send(Buffer.concat([Buffer.of(wire), asBuffer(block)]));
    }
  }

  async #frames(plan: Plan, stream: DataStream): Promise<void> {
    const source = new FrameSource(this.#deps, (text) => this.#reporter.message("info", text));
    await sendFrames(plan.remote, source, {
      stream,
      onSent: (bytes) => {
        this.#sentBytes += bytes;
        return this.#reporter.setProgress({ bytesSent: this.#sentBytes });
      },
      onLost: (paths, why) => this.#lost(stream, paths, why),
    });
  }

  /** Names entries that this restore cannot give back. */
  async #lost(stream: DataStream, paths: readonly string[], why: string): Promise<void> {
    this.#failed += paths.length;
    for (const path of paths) {
      const text = `Cannot restore ${displayPath(path)}: ${why}`;
      await stream.send(encodeJson(RestoreKind.message, { type: "error", text }));
    }
  }

  async #tellUnplaced(plan: Plan, stream: DataStream): Promise<void> {
    for (let after = 0; ; ) {
      const page = await plan.remote.unplaced(after);
      if (page.length === 0) return;
      for (const { path } of page) {
        const text = `Cannot restore ${displayPath(path)}: its content is not on any volume of this storage`;
        await stream.send(encodeJson(RestoreKind.message, { type: "error", text }));
      }
      after = page.at(-1)!.id;
    }
  }

  async #tellLostLinks(plan: Plan, stream: DataStream): Promise<void> {
    const count = await plan.remote.blockCount("links");
    for (let seq = 0; seq < count; seq++) {
      await this.#lost(
        stream,
        await plan.remote.lostLinks(seq),
        "the file it is a hard link to could not be read",
      );
    }
  }
}
