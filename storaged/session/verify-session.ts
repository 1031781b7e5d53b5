/** One Verify job at the storage daemon. Differences are no failure: they are told and counted. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { StorageVerify__Output } from "../../proto/generated/basalt/v1/StorageVerify.js";
import type { Catalog } from "../catalog/catalog.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import type { FrameVerifier } from "../volume/verify.js";
import { Reporter } from "./reporter.js";
import type { SessionDeps } from "./session-deps.js";
import { type VerifyOutcome, verifyData } from "./verify-data.js";
import { verifyDisk } from "./verify-disk.js";
import { verifyVolume } from "./verify-volume.js";

export interface VerifyDeps {
  catalog: Catalog;
  store: Store;
  verifier: FrameVerifier;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
  /** Scratch files are made here. */
  workingDirectory: string;
  devices: () => ReadonlyMap<string, DeviceResource>;
  connect: SessionDeps["connect"];
}

/** What the levels share. */
export interface VerifyWork {
  deps: VerifyDeps;
  request: StorageVerify__Output;
  jobUuid: string;
  reporter: Reporter;
  signal: AbortSignal;
}

export class VerifySession {
  readonly #work: VerifyWork;
  readonly #abort = new AbortController();
  readonly #startMs = nowMs();
  #canceled = false;

  constructor(deps: VerifyDeps, request: StorageVerify__Output, send: (event: JobEvent) => Promise<void>) {
    const { signal } = this.#abort;
    this.#work = { deps, request, jobUuid: request.jobUuid, reporter: new Reporter(send), signal };
  }

  get jobUuid(): string {
    return this.#work.jobUuid;
  }

  /** Ends the job as canceled; `orderly` false: as failed, such as when the daemon ends. */
  cancel(reason: string, orderly = true): void {
    this.#canceled ||= orderly;
    this.#abort.abort(new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason));
  }

  status(): StorageJobStatus {
    const { request, reporter } = this.#work;
    const { jobId, job, level } = request;
    const { progress, state } = reporter;
    return { jobId, job, kind: "Verify", level, state, progress, startedMs: this.#startMs };
  }

  /** Runs the job to its end and reports the result; never rejects. */
  async run(): Promise<void> {
    const { reporter, deps, request } = this.#work;
    try {
      await reporter.setState("running");
      const { catalog } = deps;
      const verify = () => this.#verify();
      const { expected, examined, bytes, differences, volumes } = await (request.verified > 0
        ? catalog.withListsOf([request.verified], verify, this.#abort.signal)
        : verify());
      const counts = { filesExpected: expected, examined, files: examined, bytes, differences, volumes };
      // What cannot be read is an error, another state of the files is not.
      const errors = request.level === "Data" ? differences : 0;
      await reporter.result({ ok: true, ...counts, errors });
    } catch (cause) {
      const error = this.#abort.signal.aborted ? this.#abort.signal.reason : cause;
      const garbled = error instanceof GarbledInput;
      if (!(error instanceof BackupError) && !garbled) deps.log.error("verify failed", { err: error });
      const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
      const reason = garbled ? `the client sent garbled data: ${error.message}` : describeError(error);
      await reporter.result({ ok: false, canceled, reason });
    }
  }

  async #verify(): Promise<VerifyOutcome> {
    const { request, deps } = this.#work;
    const { reader } = deps.catalog;
    switch (request.level) {
      case "Data":
        return verifyData(this.#work, await reader.verified(request.verified));
      case "VolumeToCatalog":
        return verifyVolume(this.#work, await reader.verified(request.verified));
      case "DiskToCatalog": {
        const list = await reader.verified(request.verified);
        await this.#tellState(list.stateOf);
        return verifyDisk(this.#work, list);
      }
      case "Catalog":
        return verifyDisk(this.#work, await reader.newestInit(request.client, request.fileSet));
      case "InitCatalog":
        return verifyDisk(this.#work, undefined);
      default:
        throw new BackupError("REQUEST_INVALID", `level "${request.level}" is not known to this storage`);
    }
  }

  async #tellState(stateOf: number): Promise<void> {
    if (stateOf !== 0) return;
    const text = "Inode, ctime and link count are known of a job's newest run only: they are not compared.";
    await this.#work.reporter.message("info", text);
  }
}
