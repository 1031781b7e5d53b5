/**
 * One backup at the storage daemon: calls filed, receives the job, commits it. Durable order: frames, closing
 * members and end record are synced on the volumes, then one catalog transaction makes the job exist. A job that
 * ends in any other way leaves nothing.
 */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import { BackupKind, encodeJson, NO_TOTALS } from "../../proto/data/backup.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageBackup__Output } from "../../proto/generated/basalt/v1/StorageBackup.js";
import type { StorageJobStatus } from "../../proto/generated/basalt/v1/StorageJobStatus.js";
import type { BegunJob, StoredLevel } from "../catalog/types.js";
import type { JobBeginRecord } from "../volume/records.js";
import { closeJob } from "./backup-closing.js";
import { afterCommit, dropReplaced } from "./backup-committed.js";
import { Exchange, type ExchangeEnd } from "./backup-exchange.js";
import { failJob } from "./backup-failure.js";
import { Ingest } from "./backup-ingest.js";
import { planLists } from "./backup-lists.js";
import {
  acquireOf,
  beginRecordOf,
  comparedOf,
  firstRevision,
  newJobOf,
  resultOf,
  startOf,
} from "./backup-records.js";
import type { JobOrigin } from "./job-origin.js";
import { JobVolumes } from "./job-volumes.js";
import { KEPT_AFTER, type KeptParts, keepIncomplete } from "./keep-incomplete.js";
import { openListLine } from "./list-line.js";
import { Reporter } from "./reporter.js";
import { refuse } from "./send-or-break.js";
import type { SessionDeps } from "./session-deps.js";

export class BackupSession {
  readonly #deps: SessionDeps;
  readonly #request: StorageBackup__Output;
  /** Ends the transfer; a job that may be kept is, all the same. */
  readonly #abort = new AbortController();
  /** Ends everything. */
  readonly #end = new AbortController();
  readonly #reporter: Reporter;
  readonly #startMs = nowMs();
  readonly #origin: JobOrigin | undefined;
  #volumes: JobVolumes | undefined;
  #ingest: Ingest | undefined;
  #canceled = false;
  #after: Promise<void> = Promise.resolve();
  /** An end record may lie on a volume. */
  #closing = false;
  /** It is being kept as incomplete. */
  #keeping = false;

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

  /** What is left to do when the result was told; never rejects. */
  get after(): Promise<void> {
    return this.#after;
  }

  get jobUuid(): string {
    return this.#request.jobUuid;
  }

  get level(): StoredLevel {
    return (this.#request.parents?.level ?? "Full") as StoredLevel;
  }

  /** Ends the job as canceled; `orderly` false: as failed, such as when the daemon ends. */
  cancel(reason: string, orderly = true): void {
    // Whoever went away does not mind; an operator does.
    if (!orderly && (this.#keeping || (this.#closing && this.#request.allowIncomplete))) return;
    this.#canceled ||= orderly;
    const error = new BackupError(orderly ? "JOB_CANCELED" : "JOB_FAILED", reason);
    this.#abort.abort(error);
    if (orderly || !this.#request.allowIncomplete) this.#end.abort(error);
  }

  /** Ends the transfer; what was stored stays if the job allows it. */
  stop(reason: string): void {
    if (this.#keeping) return;
    const error = new BackupError("JOB_STOPPED", reason);
    if (!this.#closing) {
      this.#abort.abort(error);
      return;
    }
    // All of it is stored. What its end takes goes where there is room now.
    this.#volumes?.overrun();
    this.#volumes?.waitNoMore(error);
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
      if (begun.resumed !== undefined) this.#after = dropReplaced(this.#deps, this.#request.job);
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
    const { chain, bases, ownNewest } = parents;
    const { draws = [], holds = [] } = this.#origin ?? {};
    const { catalog } = this.#deps;
    const facts = { level: this.level, startMs: this.#stateMs };
    const begin = () => catalog.writer.begin(newJobOf(this.#request, facts, this.#origin));
    // From the begin on none of these lists can be dropped.
    return catalog.withListsOf(
      [...chain, ...bases, ownNewest, comparedOf(this.#request), ...draws, ...holds],
      begin,
      this.#abort.signal,
    );
  }

  async #transfer(job: BegunJob): Promise<JobResult> {
    const { catalog, verifier, connect } = this.#deps;
    const { stream, close } = await connect(this.#request);
    const abort = () => {
      const { reason } = this.#abort.signal;
      this.#volumes?.waitNoMore(reason);
      void refuse(stream, reason);
    };
    this.#abort.signal.addEventListener("abort", abort, { once: true });
    const fail = (error: unknown) => ingest.fail(error);
    const begin = beginRecordOf(this.#request, this.#stateMs, this.#origin, job.revision);
    const signal = this.#request.allowIncomplete ? this.#end.signal : this.#abort.signal;
    const acquire = acquireOf(this.#request, this.#deps.storage, job, this.#reporter, signal);
    const volumes = new JobVolumes({ ...this.#deps, job: job.id, begin, acquire });
    this.#volumes = volumes;
    const onFailure = (error: unknown) => void refuse(stream, error);
    const { jobId, device, spread, allowIncomplete } = this.#request;
    const keep = allowIncomplete && this.#origin === undefined ? { begin, device, spread } : undefined;
    const options = { onFailure, keep, checkpoints: this.#deps.checkpoints };
    const ingest = new Ingest({ catalog, verifier, volumes, job, jobId, stream, ...options });
    this.#ingest = ingest;
    const plan = planLists(job, this.level);
    const start = startOf(this.#request, this.#deps.storage, job, plan);
    const lists = await openListLine({ ...this.#deps, place: this.#request, plan, stream, start, fail });
    try {
      this.#abort.signal.throwIfAborted();
      await stream.send(encodeJson(BackupKind.start, start));
      // The volume is mounted while filed begins: an operator may have to label one first.
      volumes.start().catch(fail);
      const { client, filedTimeoutSec } = this.#request;
      const helloTimeoutMs = (filedTimeoutSec || 180) * 1000;
      const parts = { stream, ingest, lists, reporter: this.#reporter, volumes, client, helloTimeoutMs };
      const end = await new Exchange(parts).run().finally(() => lists.close());
      await ingest.drain();
      // What was received last may have been left out for want of a volume.
      this.#abort.signal.throwIfAborted();
      const result = await this.#commit(job, volumes, begin, end);
      await stream.send(encodeJson(BackupKind.committed, { ok: true })).catch(() => undefined);
      await stream.end();
      return result;
    } catch (error) {
      const kept = await this.#kept({ job, volumes, begin, ingest, stream }, error);
      if (kept !== undefined) return kept;
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

  /** When the state was taken that the job holds. */
  get #stateMs(): number {
    return this.#origin?.startMs ?? this.#startMs;
  }

  /** What a broken off job stored is kept, where that is allowed and worth it; else undefined. */
  async #kept(parts: KeptParts, error: unknown): Promise<JobResult | undefined> {
    const cause = this.#abort.signal.aborted ? this.#abort.signal.reason : error;
    const may = this.#request.allowIncomplete && !this.#canceled && !this.#closing;
    if (!may || !KEPT_AFTER.has(codeOf(cause) ?? "") || parts.ingest.failure !== undefined) return undefined;
    const { catalog, session, log } = this.#deps;
    parts.volumes.waitNoMore(cause);
    try {
      const counts = await keepIncomplete({ ...parts, catalog, signal: this.#end.signal }, () => {
        this.#closing = true;
        this.#keeping = true;
      });
      if (counts === undefined) return undefined;
      await parts.stream.send(encodeJson(BackupKind.committed, { ok: false })).catch(() => undefined);
      await parts.stream.end().catch(() => undefined);
      await afterCommit(this.#deps, this.#ended(parts.volumes));
      const { bytesStored } = parts.volumes;
      const result = resultOf(session, counts, NO_TOTALS, { bytesStored, rawBytes: parts.ingest.rawBytes });
      const volumes = this.#namesOf(parts.job, parts.volumes);
      return { ...result, ok: false, incomplete: true, reason: describeError(cause), volumes };
    } catch (failure) {
      log.warn("an interrupted job could not be kept", { job: this.#request.job, err: failure });
      return undefined;
    } finally {
      this.#keeping = false;
    }
  }

  #ended(volumes: JobVolumes) {
    return { name: this.#request.job, volumes, reporter: this.#reporter };
  }

  /** The volumes of a run that went on are also those of the one before. */
  #namesOf({ resumed }: BegunJob, { names }: JobVolumes): string[] {
    return [...new Set([...(resumed?.volumes ?? []), ...names])];
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
    const { revision } = job;
    const ended = { ...end.totals, ...firstRevision(job) };
    const ending = { status, endMs, counts, totals: ended, revision } as const;
    await closeJob({ catalog, job, begin, volumes, signal }, ending);
    const progress = await volumes.sync();
    signal.throwIfAborted();
    const rawBytes = this.#ingest?.rawBytes ?? 0;
    const totals = { ...ended, bytesStored: volumes.bytesStored, rawBytes };
    const { extents } = volumes;
    await catalog.writer.commit({ job: job.id, status, endMs, totals, extents, volumes: progress });
    const lastVolumeBytes = volumes.current?.writer.bytes ?? 0;
    await afterCommit(this.#deps, { ...this.#ended(volumes), origin: this.#origin });
    return {
      ...resultOf(this.#deps.session, counts, end.totals, { bytesStored: volumes.bytesStored, rawBytes }),
      volumes: this.#namesOf(job, volumes),
      lastVolumeBytes,
    };
  }

  async #failed(job: BegunJob | undefined, cause: unknown): Promise<void> {
    // A cancel that broke the stream is the reason, whatever the broken stream said.
    const error = this.#abort.signal.aborted ? this.#abort.signal.reason : cause;
    const canceled = this.#canceled || codeOf(error) === "JOB_CANCELED";
    const facts = { job: job?.id, name: this.#request.job, ending: this.#closing, canceled };
    const reason = await failJob(
      this.#deps,
      { ...facts, volumes: this.#volumes, reporter: this.#reporter },
      error,
    );
    const volumes = this.#volumes?.names ?? [];
    // What it went on with is still there.
    const incomplete = job?.resumed !== undefined && !canceled && KEPT_AFTER.has(codeOf(error) ?? "");
    await this.#reporter.result({ ok: false, canceled, incomplete, reason, volumes });
  }
}
