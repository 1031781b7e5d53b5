/**
 * A restore as filed sees it: takes the plan's messages from storaged in their order and hands them to worker
 * threads. Contents are written by all threads at once; what has an order of its own (directories first, their
 * metadata last) goes through one of them. Memory: a few messages per thread.
 */
import { BackupError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decodeJson, type JobMessage } from "../../proto/data/backup.js";
import { type RestoreEnd, RestoreKind } from "../../proto/data/restore.js";
import type { DataStream } from "../../proto/rpc.js";
import { RestoreCrew } from "./crew.js";
import { openTarget } from "./open-target.js";
import type { Replace, UnitReport } from "./protocol.js";
import { addTallies, type Tallies, tallyMessages } from "./tally.js";

export type { Replace } from "./protocol.js";

export interface RestoreOptions {
  /** `request` has been sent by the caller, who also ends the stream. */
  stream: Pick<DataStream, "incoming"> & Partial<Pick<DataStream, "release">>;
  /** Absolute directory (bytes as latin1 carrier), made if missing; "" and "/" restore in place. */
  where: string;
  /** Expressions that make new names below it (common/relocation.ts). (Default: none) */
  regexWhere?: string;
  replace: Replace;
  /** Directories in which filed's configuration allows restores; empty: everywhere. */
  restoreRoots: readonly string[];
  /** A `saved` message with the path of every entry. */
  reportFiles: boolean;
  signal: AbortSignal;
  onMessage: (message: JobMessage) => void;
  onProgress: (progress: { files: number; bytes: number; path: string }) => void;
  /** Worker threads. (Default: one per CPU, 2 to 4) */
  workers?: number;
}

export interface RestoreTotals {
  /** Entries made, directories included. */
  files: number;
  bytes: number;
  /** Entries that could not be restored, those that storaged left out included. */
  failed: number;
  warnings: number;
}

const ORDER = [
  RestoreKind.make,
  RestoreKind.data,
  RestoreKind.finish,
  RestoreKind.links,
  RestoreKind.folders,
] as number[];
/** Kinds of which any message can be carried out beside any other of the same kind. */
const PARALLEL = new Set<number>([RestoreKind.data, RestoreKind.finish, RestoreKind.links]);
/** Spoilt files are remembered until they are finished; a restore with more of them is none. */
const MAX_BAD_KEYS = 100_000;

/**
 * Restores until `end`. The failure of an entry is a message and counted; the rest goes on.
 * @throws BackupError RESTORE_TARGET, RESTORE_NO_SPACE, RESTORE_INCOMPLETE, PROTOCOL_ERROR; what the stream throws;
 *   the signal's reason
 */
export async function runRestore(options: RestoreOptions): Promise<RestoreTotals> {
  options.signal.throwIfAborted();
  const target = openTarget(options.where, options.restoreRoots);
  try {
    const restore = new Restore(options);
    const crew = new RestoreCrew({
      baseFd: target.fd,
      where: target.where,
      // Two names may become one.
      targetIsNew: target.isNew && (options.regexWhere ?? "") === "",
      regexWhere: options.regexWhere ?? "",
      allowed: target.allowed,
      replace: options.replace,
      reportFiles: options.reportFiles,
      signal: options.signal,
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      onReport: (report) => restore.report(report),
    });
    let failed = true;
    try {
      const totals = await restore.run(crew);
      failed = false;
      return totals;
    } finally {
      await crew.close(failed);
    }
  } finally {
    target.close();
  }
}

class Restore {
  readonly #options: RestoreOptions;
  readonly #totals: RestoreTotals = { files: 0, bytes: 0, failed: 0, warnings: 0 };
  readonly #tallies: Tallies = {};
  readonly #badKeys = new Set<string>();
  #stage = 0;

  constructor(options: RestoreOptions) {
    this.#options = options;
  }

  async run(crew: RestoreCrew): Promise<RestoreTotals> {
    const incoming = this.#options.stream.incoming[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await crew.orFailure(incoming.next());
        if (next.done === true) {
          throw new BackupError("RESTORE_INCOMPLETE", "the storage daemon ended the restore before its end");
        }
        if (next.value[0] === RestoreKind.end) return await this.#end(crew, next.value);
        if (next.value[0] === RestoreKind.message)
          this.#options.onMessage(decodeJson<JobMessage>(next.value));
        else await this.#pass(crew, next.value);
      }
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      throw new BackupError("PROTOCOL_ERROR", `the restore stream is garbled: ${error.message}`);
    }
  }

  async #pass(crew: RestoreCrew, message: Buffer): Promise<void> {
    const kind = message[0]!;
    const stage = ORDER.indexOf(kind);
    if (stage < this.#stage) {
      throw new BackupError("PROTOCOL_ERROR", `message ${kind} out of order in the restore stream`);
    }
    if (stage > this.#stage) {
      await crew.idle();
      this.#stage = stage;
    }
    const failed = kind === RestoreKind.finish ? [...this.#badKeys] : [];
    await crew.give(message, failed, PARALLEL.has(kind));
    this.#options.stream.release?.(message);
  }

  async #end(crew: RestoreCrew, message: Buffer): Promise<RestoreTotals> {
    await crew.idle();
    const end = decodeJson<Partial<RestoreEnd>>(message);
    if (Number.isSafeInteger(end.failed)) this.#totals.failed += end.failed!;
    for (const text of tallyMessages(this.#tallies)) {
      this.#totals.warnings++;
      this.#options.onMessage({ type: "warning", text });
    }
    return this.#totals;
  }

  report(report: UnitReport): void {
    const { onMessage, onProgress } = this.#options;
    const totals = this.#totals;
    totals.files += report.files;
    totals.bytes += report.bytes;
    totals.failed += report.failed;
    for (const text of report.errors) onMessage({ type: "error", text: `cannot restore ${text}` });
    for (const text of report.skipped) onMessage({ type: "skipped", text });
    for (const text of report.restored) onMessage({ type: "saved", text });
    for (const key of report.badKeys) this.#badKeys.add(key);
    if (this.#badKeys.size > MAX_BAD_KEYS) {
      throw new BackupError("RESTORE_FAILED", "too many files with damaged data: the restore is given up");
    }
    addTallies(this.#tallies, report.tallies);
    if (report.path !== "") onProgress({ files: totals.files, bytes: totals.bytes, path: report.path });
  }
}
