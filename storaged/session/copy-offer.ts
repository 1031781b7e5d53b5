/** The original of a copy that another storage daemon writes: offered until that one has fetched it. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import type { CopyRequest } from "../../proto/data/copy.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { StorageCopyOffer__Output } from "../../proto/generated/basalt/v1/StorageCopyOffer.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { DataStream } from "../../proto/rpc.js";
import { type CopySourceOptions, serveCopy } from "./copy-source.js";
import type { CopyTotals } from "./copy-steps.js";
import { Reporter } from "./reporter.js";

/** How long the other daemon may take to call: it may wait for a volume first. */
const FETCH_MS = 24 * 3_600_000;

export class CopyOffer {
  readonly #options: CopySourceOptions;
  readonly #request: StorageCopyOffer__Output;
  readonly #reporter: Reporter;
  readonly #abort = new AbortController();
  readonly #startMs = nowMs();
  #serving: DataStream | undefined;
  #canceled = false;
  #done: (totals: CopyTotals) => void = () => undefined;
  #failed: (error: unknown) => void = () => undefined;
  readonly #served = new Promise<CopyTotals>((resolve, reject) => {
    this.#done = resolve;
    this.#failed = reject;
  });

  constructor(
    options: CopySourceOptions,
    request: StorageCopyOffer__Output,
    send: (event: JobEvent) => Promise<void>,
  ) {
    this.#options = options;
    this.#request = request;
    this.#reporter = new Reporter(send);
    this.#served.catch(() => undefined);
  }

  get jobUuid(): string {
    return this.#request.jobUuid;
  }

  /** Name of the storage daemon that may fetch it. */
  get to(): string {
    return this.#request.to;
  }

  status(): StorageJobStatus {
    const { jobId, job } = this.#request;
    const { progress, state } = this.#reporter;
    return { jobId, job, kind: "Copy", state, progress, startedMs: this.#startMs };
  }

  cancel(reason: string, orderly = true): void {
    this.#canceled ||= orderly;
    const error = new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason);
    this.#abort.abort(error);
    this.#serving?.destroy(error);
    this.#failed(error);
  }

  /** Waits until it is fetched and reports the result; never rejects. */
  async run(): Promise<void> {
    const late = new BackupError("PEER_TIMEOUT", `Storage daemon "${this.to}" did not fetch the job in time`);
    const timer = setTimeout(() => this.#serving ?? this.#failed(late), FETCH_MS);
    try {
      await this.#options.catalog.reader.effective(this.#request.original);
      await this.#reporter.setState("ready");
      const { files, bytesRead, bytesSent } = await this.#served;
      await this.#reporter.result({ ok: true, files, bytesRead, bytesSent });
    } catch (cause) {
      const error = this.#abort.signal.aborted ? this.#abort.signal.reason : cause;
      const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
      await this.#reporter.result({ ok: false, canceled, reason: describeError(error) });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Serves the call that fetches it. Called once. @throws BackupError */
  async serve(stream: DataStream, { parents, withState }: CopyRequest): Promise<void> {
    if (this.#serving !== undefined)
      throw new BackupError("COPY_TAKEN", "this copy is being fetched already");
    this.#abort.signal.throwIfAborted();
    this.#serving = stream;
    try {
      this.#done(await this.#copy(stream, parents, withState));
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  async #copy(stream: DataStream, parents: string[] | undefined, withState: boolean): Promise<CopyTotals> {
    const { original, jobId: copy, jobUuid: copyUuid } = this.#request;
    const none = { client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    const all = await this.#options.catalog.reader.listJobs({ jobIds: [original], ...none });
    const job = all.find(({ status }) => status === "T" || status === "W");
    if (job === undefined)
      throw new BackupError("NOT_FOUND", `JobId ${original} is not a finished backup of this storage`);
    const { client, baseFiles, uuid: originalUuid } = job;
    const warnings = job.status === "W" ? 1 : 0;
    const wish = { original, originalUuid, client, warnings, baseFiles, copy, copyUuid };
    await this.#reporter.setState("running");
    return serveCopy(this.#options, { ...wish, parents, withState }, stream, (text) =>
      this.#reporter.message("info", text),
    );
  }
}
