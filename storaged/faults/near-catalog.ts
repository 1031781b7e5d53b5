/**
 * The catalog on the calling thread, behind the same interface: tests of thousands of starts need no threads, and
 * every durable moment of SQLite becomes a step that a test can fail or crash at.
 */

import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { BackupError, codeOf } from "../../common/errors.js";
import { Catalog } from "../catalog/catalog.js";
import { type WriterMethods, writerMethods } from "../catalog/catalog-worker.js";
import { type ReaderMethods, readerMethods } from "../catalog/reader-worker.js";
import { type Db, openForReading, openForWriting } from "../catalog/schema.js";
import type { Methods, Remote } from "../catalog/worker-rpc.js";

/** What is asked before each transaction that writes; returns a SQLite error code to fail it with. */
export type CommitHook = () => "SQLITE_FULL" | "SQLITE_IOERR" | undefined;

/** Awaited before a call of the writer of this name is sent. */
export type CallHook = (method: string) => Promise<void> | undefined;

export interface NearCatalog {
  catalog: Catalog;
  db: Db;
  /** Bytes of the write-ahead log that a power cut leaves in any case. */
  durableLog: () => number;
}

/** Opens the catalog file here. The caller closes it by `catalog.close()`. */
export function openNearCatalog(
  file: string,
  beforeCommit: CommitHook = () => undefined,
  beforeCall: CallHook = () => undefined,
): NearCatalog {
  const db = openForWriting(file);
  const log = new LogWatch(file);
  log.mark();
  watchCommits(db, log, beforeCommit);
  const reading = openForReading(file, 2000);
  const writer = near<WriterMethods>(writerMethods(db), beforeCall);
  const reader = near<ReaderMethods>(readerMethods(reading));
  // The methods that build on `reader` are Catalog's own.
  const catalog = Object.create(Catalog.prototype, {
    file: { value: file },
    writer: { value: writer },
    reader: { value: reader },
    close: {
      value: async () => {
        reading.close();
        db.close();
      },
    },
  }) as Catalog;
  return { catalog, db, durableLog: () => log.durable() };
}

/** Calls run in order, each in a turn of its own, with copies of arguments and results, as between threads. */
export function near<M>(methods: Methods, beforeCall: CallHook = () => undefined): Remote<M> {
  let last: Promise<unknown> = Promise.resolve();
  const send = (name: string, args: unknown[]): Promise<unknown> => {
    const result = last.then(() => call(methods, name, args));
    last = result.catch(() => undefined);
    return result;
  };
  return new Proxy({} as Remote<M>, {
    get: (_target, name) =>
      name === "then"
        ? undefined
        : (...args: unknown[]) => {
            const copies = structuredClone(args);
            const held = beforeCall(name as string);
            return held === undefined
              ? send(name as string, copies)
              : held.then(() => send(name as string, copies));
          },
  });
}

function call(methods: Methods, name: string, args: unknown[]): unknown {
  try {
    const method = methods[name];
    if (method === undefined) throw new Error(`no method ${name}`);
    return structuredClone(method(...args));
  } catch (error) {
    const code = codeOf(error);
    if (code?.startsWith("SQLITE_")) throw new BackupError(code, (error as Error).message);
    throw error;
  }
}

/** Makes every outermost transaction of `db` a step. */
function watchCommits(db: Db, log: LogWatch, beforeCommit: CommitHook): void {
  let synchronous = "NORMAL";
  const pragma = db.pragma.bind(db);
  db.pragma = (source, options) => {
    const match = /^synchronous\s*=\s*(\w+)/i.exec(source);
    if (match !== null) synchronous = match[1]!.toUpperCase();
    return pragma(source, options);
  };
  let depth = 0;
  let fault: ReturnType<CommitHook>;
  const outermost = (variant: Work): Work => {
    return (...args) => {
      if (depth === 0) fault = beforeCommit();
      depth++;
      try {
        return variant(...args);
      } finally {
        depth--;
        if (depth === 0 && synchronous !== "NORMAL" && synchronous !== "OFF") log.mark();
      }
    };
  };
  const transaction = db.transaction.bind(db) as (work: Work) => Work & Record<Variant, Work>;
  const watched = (work: Work): Work => {
    const inner: Work = (...args) => {
      const result = work(...args);
      const code = depth === 1 ? fault : undefined;
      if (code !== undefined) throw new Database.SqliteError(`${code} (made by the test)`, code);
      return result;
    };
    const wrapped = transaction(inner);
    const variants = VARIANTS.map((variant) => [variant, outermost(wrapped[variant])]);
    return Object.assign(outermost(wrapped), Object.fromEntries(variants));
  };
  db.transaction = watched as typeof db.transaction;
}

type Work = (...args: unknown[]) => unknown;
const VARIANTS = ["default", "immediate", "deferred", "exclusive"] as const;
type Variant = (typeof VARIANTS)[number];

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Knows up to where the write-ahead log was synced; a log that began anew after a checkpoint was not at all. */
class LogWatch {
  readonly #file: string;
  #salt = "";
  #bytes = 0;

  constructor(file: string) {
    this.#file = `${file}-wal`;
  }

  /** Everything in the log has just been synced. Looks only at what came since the last call. */
  mark(): void {
    if (statSync(this.#file, { throwIfNoEntry: false }) === undefined) return;
    const file = openSync(this.#file, "r");
    try {
      const header = Buffer.alloc(LOG_HEADER_BYTES);
      if (readSync(file, header, 0, LOG_HEADER_BYTES, 0) < LOG_HEADER_BYTES) return;
      const salt = saltOf(header);
      const step = FRAME_HEADER_BYTES + header.readUInt32BE(8);
      const frame = Buffer.alloc(FRAME_HEADER_BYTES);
      let end = salt === this.#salt ? this.#bytes : LOG_HEADER_BYTES;
      const { size } = fstatSync(file);
      while (end + step <= size && readSync(file, frame, 0, FRAME_HEADER_BYTES, end) === FRAME_HEADER_BYTES) {
        if (frame.toString("hex", 8, 16) !== salt) break;
        end += step;
      }
      this.#salt = salt;
      this.#bytes = end;
    } finally {
      closeSync(file);
    }
  }

  durable(): number {
    return saltOf(readLog(this.#file)) === this.#salt ? this.#bytes : 0;
  }
}

function saltOf(log: Buffer): string {
  return log.length < LOG_HEADER_BYTES ? "" : log.toString("hex", 16, 24);
}

/** The write-ahead log without what an older round left behind its end; empty when there is none. */
export function readLog(file: string): Buffer {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return Buffer.alloc(0);
  const log = readFileSync(file);
  if (log.length < LOG_HEADER_BYTES) return Buffer.alloc(0);
  const step = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  const salt = saltOf(log);
  let end = LOG_HEADER_BYTES;
  while (end + step <= log.length && log.toString("hex", end + 8, end + 16) === salt) end += step;
  return log.subarray(0, end);
}

/** Ends of the log's frames that commit, and the size of its frames. */
export function commitsOf(log: Buffer): { ends: number[]; step: number } {
  if (log.length < LOG_HEADER_BYTES) return { ends: [], step: 0 };
  const step = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  const ends: number[] = [];
  for (let at = LOG_HEADER_BYTES; at + step <= log.length; at += step) {
    if (log.readUInt32BE(at + 4) !== 0) ends.push(at + step);
  }
  return { ends, step };
}
