/** What all restores share at the storage daemon: made ready, fetched by filed once, told to the director. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { StorageRestore__Output } from "../../proto/generated/basalt/v1/StorageRestore.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { Reporter } from "./reporter.js";

export interface RestoreDeps {
  catalog: Catalog;
  store: Store;
  log: Log;
  /** Scratch files are made here. */
  workingDirectory: string;
  devices: () => ReadonlyMap<string, DeviceResource>;
}

export abstract class FetchedSession {
  protected readonly deps: RestoreDeps;
  protected readonly request: StorageRestore__Output;
  /** What of the jobs' lists is wanted. */
  protected readonly rules: readonly SelectionRule[];
  protected readonly reporter: Reporter;
  protected sentBytes = 0;
  readonly #abort = new AbortController();
  readonly #startMs = nowMs();
  #canceled = false;
  #ready = false;
  #serving: DataStream | undefined;
  #served: () => void = () => undefined;
  readonly #done = new Promise<void>((resolve) => {
    this.#served = resolve;
  });
  #serveError: unknown;

  constructor(
    deps: RestoreDeps,
    request: StorageRestore__Output,
    rules: readonly SelectionRule[],
    send: (event: JobEvent) => Promise<void>,
  ) {
    this.deps = deps;
    this.request = request;
    this.rules = rules;
    this.reporter = new Reporter(send);
  }

  get jobUuid(): string {
    return this.request.jobUuid;
  }

  get client(): string {
    return this.request.client;
  }

  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  cancel(reason: string, orderly = true): void {
    this.#canceled ||= orderly;
    this.#abort.abort(new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason));
  }

  /** Ends the restore for what goes wrong beside the serving. */
  protected fail(error: unknown): void {
    this.#abort.abort(error);
  }

  status(): StorageJobStatus {
    const { jobId, job } = this.request;
    const { progress, state } = this.reporter;
    return { jobId, job, kind: "Restore", state, progress, startedMs: this.#startMs };
  }

  /** Runs the restore to its end and reports the result; never rejects. */
  async run(): Promise<void> {
    try {
      await this.prepare();
      this.#ready = true;
      await this.reporter.setState("ready");
      await this.#waitForClient();
      await this.reporter.result({ ok: true, ...this.counts(), bytesSent: this.sentBytes });
    } catch (cause) {
      const error = this.signal.aborted ? this.signal.reason : cause;
      if (!(error instanceof BackupError)) this.deps.log.error("restore failed", { err: error });
      const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
      const reason = describeError(error);
      await this.reporter.result({ ok: false, canceled, reason, filesExpected: this.expected() });
    } finally {
      if (this.signal.aborted) this.#serving?.destroy(this.signal.reason as Error);
      await this.release();
    }
  }

  /** Makes ready what filed will fetch. @throws BackupError */
  protected abstract prepare(): Promise<void>;
  /** Gives it to filed and ends the stream. @throws BackupError */
  protected abstract deliver(stream: DataStream): Promise<void>;
  /** What a restore that went well reports. */
  protected abstract counts(): JobResult;
  /** Entries planned so far. */
  protected abstract expected(): number;
  /** Lets go of everything, also when `prepare` failed half-way. */
  protected abstract release(): Promise<void>;

  /** Serves filed. Called once. @throws BackupError */
  async serve(stream: DataStream): Promise<void> {
    if (this.#serving !== undefined)
      throw new BackupError("RESTORE_TAKEN", "this restore is being fetched already");
    if (!this.#ready) throw new BackupError("RESTORE_NOT_READY", "this restore is not planned yet");
    this.#serving = stream;
    try {
      await this.reporter.setState("running");
      await this.deliver(stream);
    } catch (error) {
      this.#serveError = error;
      throw error;
    } finally {
      this.#served();
    }
  }

  async #waitForClient(): Promise<void> {
    const limitMs = (this.request.filedTimeoutSec || 1800) * 1000;
    const late = new BackupError("PEER_TIMEOUT", `client "${this.client}" did not fetch the restore in time`);
    const timer = setTimeout(() => {
      if (this.#serving === undefined) this.#abort.abort(late);
    }, limitMs);
    const aborted = new Promise<never>((_resolve, reject) => {
      if (this.signal.aborted) reject(this.signal.reason);
      else this.signal.addEventListener("abort", () => reject(this.signal.reason), { once: true });
    });
    try {
      await Promise.race([this.#done, aborted]);
    } finally {
      clearTimeout(timer);
    }
    if (this.#serveError !== undefined) throw this.#serveError;
  }
}
