/**
 * One backup at the storage daemon: calls filed, receives the job, commits it. Durable order: frames, closing
 * members and end record are synced on the volumes, then one catalog transaction makes the job exist. A job that
 * ends in any other way leaves nothing.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import { BackupKind, encodeJson } from "../../proto/data/backup.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { BegunJob, LocalJob, StoredLevel } from "../catalog/types.js";
import type { JobBeginRecord } from "../volume/records.js";
import type { FrameVerifier } from "../volume/verify.js";
import { closeJob } from "./backup-closing.js";
import { Exchange, type ExchangeEnd } from "./backup-exchange.js";
import { Ingest } from "./backup-ingest.js";
import { ListSender, planLists } from "./backup-lists.js";
import { beginRecordOf, resultOf, startOf } from "./backup-records.js";
import type { JobOrigin } from "./job-origin.js";
import { JobVolumes } from "./job-volumes.js";
import { Reporter } from "./reporter.js";
import type { VolumeDesk } from "./volume-desk.js";

/** Where a job's file daemon is, and who it must be. */
export type FiledPlace = Pick<StorageBackup__Output, "filedAddress" | "filedPort" | "client">;

export interface SessionDeps {
  catalog: Catalog;
  desk: VolumeDesk;
  verifier: FrameVerifier;
  log: Log;
  /** Name of this storage daemon. */
  storage: string;
  /** Opens the data stream to filed; `close` ends the connection. Whoever aborts tells filed why before it breaks. */
  connect: (request: FiledPlace) => Promise<{ stream: DataStream; close: () => void }>;
  /** Takes the end record of a failed job back; gives warnings. */
  settle: (job: LocalJob) => Promise<string[]>;
  /** For VolSessionId and VolSessionTime of reports. */
  session: { id: number; timeMs: number };
}

export class BackupSession {
  readonly #deps: SessionDeps;
  readonly #request: StorageBackup__Output;
  readonly #abort = new AbortController();
  readonly #reporter: Reporter;
  readonly #startMs = nowMs();
  readonly #origin: JobOrigin | undefined;
  #volumes: JobVolumes | undefined;
  #ingest: Ingest | undefined;
  #canceled = false;
  /** An end record may lie on a volume. */
  #closing = false;

  /** `origin`: the job is made out of others, not by a client. */
  constructor(
    deps: SessionDeps,
    request: StorageBackup__Output,
    send: (event: JobEvent) => Promise<void>,
    origin?: JobOrigin,
  ) {
    this.#origin = origin;
    this.#deps = deps;
    this.#request = request;
    this.#reporter = new Reporter(send);
  }

  get jobUuid(): string {
    return this.#request.jobUuid;
  }

  get level(): StoredLevel {
    return (this.#request.parents?.level ?? "Full") as StoredLevel;
  }

  /** Ends the job as canceled; `orderly` false: as failed, such as when the daemon ends. */
  cancel(reason: string, orderly = true): void {
    this.#canceled ||= orderly;
    this.#abort.abort(new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason));
  }

  /** A message for the job's report. */
  say(text: string): Promise<void> {
    return this.#reporter.message("info", text);
  }

  status(): StorageJobStatus {
    const { jobId, job, pool } = this.#request;
    const open = this.#volumes?.current;
    const { progress, state } = this.#reporter;
    const volume = open?.record.name ?? "";
    const device = open?.device.name ?? "";
    const kind = this.#origin?.kind ?? "Backup";
    const facts = { jobId, job, kind, level: this.level, pool, device, volume };
    return { ...facts, progress, state, startedMs: this.#startMs };
  }

  /** Runs the job to its end and reports the result; never rejects. */
  async run(): Promise<void> {
    let begun: BegunJob | undefined;
    try {
      begun = await this.#begin();
      await this.#reporter.setState("running");
      const result = await this.#transfer(begun);
      await this.#reporter.result(result);
    } catch (error) {
      await this.#failed(begun, error);
    }
  }

  async #begin(): Promise<BegunJob> {
    const { parents } = this.#request;
    if (parents === null) throw new BackupError("REQUEST_INVALID", "the director sent no parents");
    const levels = ["Base", "Full", "Differential", "Incremental"];
    if (!levels.includes(parents.level) && (this.#origin === undefined || parents.level !== "VirtualFull")) {
      throw new BackupError("REQUEST_INVALID", `level "${parents.level}" is not known to this storage`);
    }
    const { uuid, ...rest } = { ...this.#request, uuid: this.#request.jobUuid };
    const { jobId, jobName, job, client, fileSet, fileSetDigest, pool, scheduledMs, comment } = rest;
    const { chain, bases, ownNewest } = parents;
    const facts = { uuid, jobId, jobName, job, client, fileSet, fileSetDigest, pool, scheduledMs, comment };
    const { type = "B", copyOf = "", draws = [], holds = [] } = this.#origin ?? {};
    const { catalog } = this.#deps;
    const begin = () =>
      catalog.writer.begin({
        ...facts,
        ...{ level: this.level, startMs: this.#stateMs, chain, bases, ownNewest, type, copyOf, draws, holds },
      });
    // From the begin on none of these lists can be dropped.
    return catalog.withListsOf(
      [...chain, ...bases, ownNewest, ...draws, ...holds],
      begin,
      this.#abort.signal,
    );
  }

  async #transfer(job: BegunJob): Promise<JobResult> {
    const { catalog, verifier, connect } = this.#deps;
    const { stream, close } = await connect(this.#request);
    const abort = () => void this.#refuse(stream, this.#abort.signal.reason);
    this.#abort.signal.addEventListener("abort", abort, { once: true });
    const fail = (error: unknown) => ingest.fail(error);
    const begin = beginRecordOf(this.#request, this.#stateMs, this.#origin);
    const volumes = new JobVolumes({ ...this.#deps, job: job.id, begin, acquire: this.#acquire(job) });
    this.#volumes = volumes;
    const onFailure = (error: unknown) => void this.#refuse(stream, error);
    const ingest = new Ingest({ catalog, verifier, volumes, job, jobId: this.#request.jobId, onFailure });
    this.#ingest = ingest;
    const plan = planLists(job, this.level);
    const lists = new ListSender(catalog, plan, stream, fail);
    try {
      this.#abort.signal.throwIfAborted();
      await stream.send(encodeJson(BackupKind.start, startOf(this.#request, this.#deps.storage, job, plan)));
      // The volume is mounted while filed begins: an operator may have to label one first.
      volumes.start().catch(fail);
      const { client, filedTimeoutSec } = this.#request;
      const helloTimeoutMs = (filedTimeoutSec || 180) * 1000;
      const parts = { stream, ingest, lists, reporter: this.#reporter, volumes, client, helloTimeoutMs };
      const end = await new Exchange(parts).run();
      await ingest.drain();
      const result = await this.#commit(job, volumes, begin, end);
      await stream.send(encodeJson(BackupKind.committed, { ok: true })).catch(() => undefined);
      await stream.end();
      return result;
    } catch (error) {
      // What made the stream break counts, not that it broke.
      fail(error);
      volumes.giveUp();
      await ingest.settled();
      throw ingest.failure ?? error;
    } finally {
      this.#abort.signal.removeEventListener("abort", abort);
      await lists.close();
      close();
    }
  }

  /** Tells filed why, then breaks the stream. */
  async #refuse(stream: DataStream, error: unknown): Promise<void> {
    const reason = describeError(error);
    await stream.send(encodeJson(BackupKind.abort, { reason })).catch(() => undefined);
    setTimeout(() => stream.destroy(error instanceof Error ? error : new Error(reason)), 100).unref();
  }

  /** When the state was taken that the job holds. */
  get #stateMs(): number {
    return this.#origin?.startMs ?? this.#startMs;
  }

  #acquire(job: BegunJob) {
    const { jobId, job: name, jobName, client, device, spread } = this.#request;
    const { storage } = this.#deps;
    const facts = { job: name, jobName, jobId, level: this.level, client, storage };
    return {
      job: job.id,
      facts,
      pool: job.pool,
      device,
      spread,
      reporter: this.#reporter,
      signal: this.#abort.signal,
    };
  }

  async #commit(
    job: BegunJob,
    volumes: JobVolumes,
    begin: JobBeginRecord,
    end: ExchangeEnd,
  ): Promise<JobResult> {
    const { catalog } = this.#deps;
    const counts = await catalog.writer.finishRows(job.id);
    const status = end.totals.errors > 0 || end.totals.warnings > 0 ? "W" : "T";
    const endMs = this.#origin?.endMs ?? nowMs();
    const signal = this.#abort.signal;
    this.#closing = true;
    await closeJob({ catalog, job, begin, volumes, signal }, { status, endMs, counts, totals: end.totals });
    const progress = await volumes.sync();
    signal.throwIfAborted();
    const rawBytes = this.#ingest?.rawBytes ?? 0;
    const totals = { ...end.totals, bytesStored: volumes.bytesStored, rawBytes };
    const { extents, names } = volumes;
    await catalog.writer.commit({ job: job.id, status, endMs, totals, extents, volumes: progress });
    const lastVolumeBytes = volumes.current?.writer.bytes ?? 0;
    await this.#afterCommit(volumes);
    await this.#originCommitted();
    return {
      ...resultOf(this.#deps.session, counts, end.totals, { bytesStored: volumes.bytesStored, rawBytes }),
      volumes: names,
      lastVolumeBytes,
    };
  }

  /** The job is safe: nothing here may fail it. */
  async #afterCommit(volumes: JobVolumes): Promise<void> {
    const { catalog, desk, log } = this.#deps;
    try {
      for (const { volume } of volumes.extents) {
        const record = (await catalog.reader.listVolumes("", "")).find(({ id }) => id === volume);
        if (record?.status === "Append") await desk.expireIfDue(record, 0, this.#reporter);
      }
      await volumes.release(false);
      await this.#reporter.setState("committed");
      while (!(await catalog.writer.dropOldStates())) await new Promise(setImmediate);
    } catch (error) {
      log.warn("after the commit of a job", { job: this.#request.job, err: error });
    }
  }

  async #originCommitted(): Promise<void> {
    try {
      await this.#origin?.committed?.(this.#reporter);
    } catch (error) {
      await this.#reporter.message("warning", describeError(error)).catch(() => undefined);
    }
  }

  async #failed(job: BegunJob | undefined, cause: unknown): Promise<void> {
    const { catalog, log } = this.#deps;
    // A cancel that broke the stream is the reason, whatever the broken stream said.
    const error = this.#abort.signal.aborted ? this.#abort.signal.reason : cause;
    const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
    const reason =
      error instanceof GarbledInput ? `the client sent garbled data: ${error.message}` : describeError(error);
    if (!(error instanceof BackupError) && !(error instanceof GarbledInput))
      log.error("job failed", { err: error });
    try {
      if (job !== undefined) {
        await catalog.writer.fail(job.id, canceled ? "A" : "E", reason, nowMs());
        while (!(await catalog.writer.clean(job.id))) await new Promise(setImmediate);
      }
    } catch (cleaning) {
      // It stays marked as dirty: nobody sees it, and the next start cleans it.
      log.warn("a failed job could not be cleaned up yet", { job: this.#request.job, err: cleaning });
    }
    await this.#volumes?.release(true);
    if (job !== undefined && this.#closing) await this.#settle(job.id);
    const volumes = this.#volumes?.names ?? [];
    await this.#reporter.result({ ok: false, canceled, reason, volumes });
  }

  async #settle(job: LocalJob): Promise<void> {
    const { settle, log } = this.#deps;
    try {
      for (const text of await settle(job)) await this.#reporter.message("warning", text);
    } catch (error) {
      // The next start does it.
      log.warn("the end record of a failed job could not be taken back yet", {
        job: this.#request.job,
        err: error,
      });
    }
  }
}
