/** A restore at the file daemon: calls the storage daemon and writes what it sends. */
import { BackupError } from "../../common/errors.js";
import { bytesOfText } from "../../common/format/path.js";
import { Relocation } from "../../common/relocation.js";
import { encodeJson } from "../../proto/data/backup.js";
import { RestoreKind, type RestoreRequest } from "../../proto/data/restore.js";
import type { FiledRestore__Output } from "../../proto/generated/basalt/v1/FiledRestore.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import { type DataStream, PROTOCOL, RpcChannel } from "../../proto/rpc.js";
import { checkPaths, restoreFromImages } from "../from-image/restore-from-images.js";
import { endRestedThreads } from "../pack/rested-threads.js";
import { type Replace, type RestoreOptions, type RestoreTotals, runRestore } from "../restore/restore.js";
import type { SessionDeps } from "./deps.js";
import { JobSession } from "./job-session.js";

const REPLACE: readonly string[] = ["always", "ifnewer", "ifolder", "never"];
const PROGRESS_MS = 1000;

export class RestoreSession extends JobSession {
  readonly #request: FiledRestore__Output;
  #done = { files: 0, bytes: 0, path: "" };

  constructor(
    deps: SessionDeps,
    job: { request: FiledRestore__Output; director: string },
    send: (event: JobEvent) => Promise<void>,
  ) {
    super(deps, { ...job, kind: "Restore", level: "" }, send);
    this.#request = job.request;
  }

  protected prepare(): void {
    const { replace, where } = this.#request;
    if (!REPLACE.includes(replace)) throw new BackupError("REQUEST_INVALID", `unknown Replace "${replace}"`);
    if (where !== "" && !where.startsWith("/")) {
      throw new BackupError("REQUEST_INVALID", `Where "${where}" is not an absolute path`);
    }
    if (this.#request.regexWhere !== "") new Relocation(this.#request.regexWhere);
    checkPaths(this.#request.inImages);
  }

  protected async work(): Promise<JobResult> {
    const { storage, storageAddress, storagePort } = this.#request;
    const { tls, isRevoked } = this.deps;
    const expect = { role: "storaged", name: storage } as const;
    const channel = new RpcChannel({ address: storageAddress, port: storagePort, tls, expect, isRevoked });
    const timer = setInterval(() => this.#tellProgress(), PROGRESS_MS);
    try {
      return await this.#fetch(channel);
    } finally {
      clearInterval(timer);
      this.#tellProgress();
      channel.close();
    }
  }

  async #fetch(channel: RpcChannel): Promise<JobResult> {
    const { jobUuid, ticket } = this.#request;
    const { name } = this.deps.config();
    const stream = channel.data("StoragedData", "Restore", { signal: this.signal });
    try {
      const protocol = { ...(this.deps.protocol ?? PROTOCOL) };
      const request: RestoreRequest = { protocol, client: name, jobUuid, ticket };
      await stream.send(encodeJson(RestoreKind.request, request));
      void endRestedThreads();
      this.events.setState("running");
      const totals = await this.#restore(stream);
      await stream.end();
      this.#done = { ...this.#done, files: totals.files, bytes: totals.bytes };
      // Failed entries and warnings were counted by their messages; some come without one.
      this.tally.errors = Math.max(this.tally.errors, totals.failed);
      this.tally.warnings = Math.max(this.tally.warnings, totals.warnings);
      // How many there are in a disk image, the storage daemon does not know.
      const filesExpected = this.#request.inImages.length === 0 ? 0 : totals.files + totals.failed;
      return { ...this.partialResult(), filesExpected };
    } catch (error) {
      stream.destroy(error instanceof Error ? error : undefined);
      throw error;
    }
  }

  #restore(stream: DataStream): Promise<RestoreTotals> {
    const { jobId, inImages, partition } = this.#request;
    if (inImages.length === 0) return this.#write(stream, this.signal);
    const paths = inImages.map(({ path, recursive }) => ({ path: path.latin1Slice(), recursive }));
    const { workingDirectory } = this.deps.config();
    const report = this.#onMessage.bind(this);
    const from = { stream, workingDirectory, jobId, paths, partition, report, signal: this.signal };
    return restoreFromImages(from, (tree, signal) => this.#write(tree, signal));
  }

  /** Writes what comes. */
  #write(stream: RestoreOptions["stream"], signal: AbortSignal): Promise<RestoreTotals> {
    const { where, regexWhere, replace, reportFiles } = this.#request;
    const { restoreRoots, workerThreads } = this.deps.config();
    return runRestore({
      stream,
      where: bytesOfText(where),
      regexWhere,
      replace: replace as Replace,
      restoreRoots,
      reportFiles,
      signal,
      onMessage: ({ type, text }) => this.#onMessage(type, text),
      onProgress: (done) => {
        this.#done = done;
      },
      workers: workerThreads,
    });
  }

  #onMessage(type: Parameters<typeof this.tally.report>[0], text: string): void {
    this.tally.report(type, text);
  }

  #tellProgress(): void {
    const { files, bytes, path } = this.#done;
    this.events.setProgress({
      files,
      bytesRead: bytes,
      errors: this.tally.errors,
      path: Buffer.from(path, "latin1"),
    });
  }

  protected partialResult(): JobResult {
    const { files, bytes } = this.#done;
    return { files, bytes };
  }
}
