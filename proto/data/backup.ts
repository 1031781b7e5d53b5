/**
 * Messages of the backup data stream: storaged calls filed (`/basalt.v1.FiledData/Backup`, raw bytes both ways).
 * Every message is one byte of kind and its payload.
 *
 * Order: storaged sends `start`; filed answers `hello` and grants credits for the lists it wants. storaged never
 * sends a list block without a credit, so filed never has to stop reading and an answer to a claim is never stuck
 * behind a list. filed sends claims ahead of data; storaged answers every claim in order. Rows that name content
 * come after that content. `end` comes last from filed; storaged verifies, commits and answers `committed`.
 *
 * Lists that filed takes apart come in a second call by storaged (`/basalt.v1.FiledData/Lists`) on a connection of its own:
 * `lists`, then FREE_BLOCKS blocks of each list before its first credit. Credits, blocks and ends of lists are in that
 * call alone, so that each connection carries much in one direction only and may have a wide window.
 */

import { MAX_FRAME_RAW_BYTES, PART_BYTES } from "../../common/format/content.js";
import { type FrameEntry, readEntries, writeEntries } from "../../common/format/frame.js";
import { ByteReader, ByteWriter, GarbledInput } from "../../common/format/varint.js";

export const BackupKind = {
  // storaged → filed
  start: 1,
  listBlock: 2,
  listEnd: 3,
  claimAnswer: 4,
  committed: 5,
  abort: 6,
  lists: 7,
  // filed → storaged
  hello: 32,
  listCredit: 33,
  claim: 34,
  frame: 35,
  parts: 36,
  rows: 37,
  state: 38,
  message: 39,
  progress: 40,
  end: 41,
  mark: 42,
} as const;

/** Level after any upgrade. */
export type BackupLevel = "Base" | "Full" | "Differential" | "Incremental";

/** Levels of Verify jobs that look at the machine's files. */
export type DiskVerifyLevel = "DiskToCatalog" | "InitCatalog" | "Catalog";

export function isDiskVerifyLevel(level: string): level is DiskVerifyLevel {
  return level === "DiskToCatalog" || level === "InitCatalog" || level === "Catalog";
}

export interface ListInfo {
  /**
   * own: the machine's own newest effective list, rows with state; parent: the effective list that the new rows
   * are written against, when that is neither `own` nor the Bases; base: a Base's list; verified: the list that a
   * Verify job compares with; compared: that of the Base in force, for counting what a new one has in common with it.
   */
  role: "own" | "parent" | "base" | "verified" | "compared";
  jobId: number;
}

export interface BackupStart {
  protocol: { major: number; minor: number };
  storage: string;
  jobUuid: string;
  jobId: number;
  /**
   * With a DiskVerifyLevel nothing is stored: filed tells the differences to the director. Only InitCatalog sends rows
   * and state, for all entries, with content of the all-zero digest where it was not asked to read files.
   */
  level: BackupLevel | DiskVerifyLevel;
  /** Signed by the director; filed compares it with the job that the director announced. */
  ticket: string;
  /** Index in this array is the list number of credits and blocks. Bases stand in the order of the job's list. */
  lists: ListInfo[];
  /**
   * True when the `own` list is what new rows are compared with (Incremental on the newest run); false when it only
   * vouches (Full, Differential, Base). Exactly then there is a `parent` list, Bases, or nothing to compare with.
   */
  ownIsParent: boolean;
  /** The pool holds nothing yet: every file up to 1 MiB is stored as a member of its own, so that tar alone restores. */
  selfContained: boolean;
  /** filed sends a `mark` now and then: an interrupted job is kept up to the last one. */
  marks?: boolean;
  /** Lists come in a call of their own, and their credits go there. */
  listsApart?: boolean;
}

/** First message of the call that brings a job's lists. */
export interface ListsStart {
  jobUuid: string;
  jobId: number;
  /** That of the job's `start`; it is not taken here. */
  ticket: string;
}

/** Blocks of each list that come without a credit in a call of their own. */
export const FREE_BLOCKS = 4;

export interface BackupHello {
  protocol: { major: number; minor: number };
  client: string;
}

/** Severity as in Bacula's message types. */
export interface JobMessage {
  type: "info" | "warning" | "error" | "fatal" | "notsaved" | "skipped" | "saved";
  text: string;
}

export interface BackupProgress {
  files: number;
  bytesRead: number;
  bytesSent: number;
  path: string;
}

export interface BackupTotals {
  /** Entries written as rows of this job that are not deletions ("FD Files Written"). */
  files: number;
  deleted: number;
  /** Entries seen by the walk. */
  examined: number;
  /** Logical bytes of the files with rows ("FD Bytes Written"). */
  bytes: number;
  /** Bytes read from disk. */
  bytesRead: number;
  /** Compressed frame bytes sent. */
  bytesSent: number;
  /** Entries (not directories) equal to a Base's, and the bytes of their files. */
  baseFiles: number;
  baseBytes: number;
  /** Files that could be matched against a Base at all (denominator of "Base files/Used files"). */
  usedFiles: number;
  errors: number;
  warnings: number;
  /** Verify: entries that differ, are missing or new. */
  differences?: number;
}

/** Of a job that has done nothing yet, or that stores nothing of its own. */
export const NO_TOTALS: Readonly<BackupTotals> = {
  ...{ files: 0, deleted: 0, examined: 0, bytes: 0, bytesRead: 0, bytesSent: 0 },
  ...{ baseFiles: 0, baseBytes: 0, usedFiles: 0, errors: 0, warnings: 0 },
};

export interface BackupEnd {
  ok: boolean;
  /** Why not ok; one line. */
  reason?: string;
  canceled?: boolean;
  /** Everything up to the last `mark` is whole: the job is to be kept, and answered with `committed`. */
  incomplete?: boolean;
  totals: BackupTotals;
}

export interface Frame {
  rawBytes: number;
  entries: FrameEntry[];
  data: Buffer;
}

/** A JSON message. */
export function encodeJson(kind: number, value: unknown): Buffer {
  return Buffer.concat([Buffer.of(kind), Buffer.from(JSON.stringify(value))]);
}

/** @throws GarbledInput; the caller checks the fields. */
export function decodeJson<T>(message: Buffer): T {
  try {
    return JSON.parse(message.toString("utf8", 1)) as T;
  } catch {
    throw new GarbledInput("message is not JSON");
  }
}

/** listBlock, listEnd (empty data), listCredit (count in one byte of data). */
export function encodeList(kind: number, list: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const out = Buffer.allocUnsafe(2 + data.length);
  out[0] = kind;
  out[1] = list;
  out.set(data, 2);
  return out;
}

/** claim: u32le sequence, digests; claimAnswer: u32le sequence, one byte per digest (1 known, 0 unknown). */
export function encodeClaim(kind: number, sequence: number, data: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + data.length);
  out[0] = kind;
  out.writeUInt32LE(sequence, 1);
  out.set(data, 5);
  return out;
}

export function decodeClaim(message: Buffer): { sequence: number; data: Buffer } {
  if (message.length < 5) throw new GarbledInput("claim too short");
  return { sequence: message.readUInt32LE(1), data: message.subarray(5) };
}

/** rows, state: a list block as it is. */
export function encodeBlock(kind: number, block: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(1 + block.length);
  out[0] = kind;
  out.set(block, 1);
  return out;
}

export function encodeFrame(rawBytes: number, entries: readonly FrameEntry[], data: Uint8Array): Buffer {
  const out = new ByteWriter(32 + entries.length * 40 + data.length);
  out.u8(BackupKind.frame);
  out.uint(rawBytes);
  writeEntries(out, entries);
  out.raw(data);
  return out.bytes();
}

export function decodeFrame(message: Buffer): Frame {
  const reader = new ByteReader(message, 1);
  const rawBytes = reader.uint();
  if (rawBytes > MAX_FRAME_RAW_BYTES) throw new GarbledInput("frame too large");
  const entries = readEntries(reader, rawBytes);
  return { rawBytes, entries, data: reader.rest() };
}

/**
 * A segment of one content's parts list; segments of a content are sent in order and not interleaved with those of
 * the same `sequence` number only: several contents may be open at a time. The last one carries size and identity.
 */
export interface PartsSegment {
  sequence: number;
  /** Encoded parts, PART_BYTES each, at most 4,096. */
  parts: Buffer;
  last?: { size: number; identity: Buffer };
}

export const MAX_PARTS_PER_SEGMENT = 4096;

export function encodeParts(segment: PartsSegment): Buffer {
  const out = new ByteWriter(64 + segment.parts.length);
  out.u8(BackupKind.parts);
  out.uint(segment.sequence);
  out.u8(segment.last === undefined ? 0 : 1);
  if (segment.last !== undefined) {
    out.uint(segment.last.size);
    out.raw(segment.last.identity);
  }
  out.raw(segment.parts);
  return out.bytes();
}

export function decodeParts(message: Buffer): PartsSegment {
  const reader = new ByteReader(message, 1);
  const sequence = reader.uint();
  const last = reader.u8() === 1 ? { size: reader.uint(), identity: reader.raw(32) } : undefined;
  const parts = reader.rest();
  if (parts.length % PART_BYTES !== 0 || parts.length > MAX_PARTS_PER_SEGMENT * PART_BYTES) {
    throw new GarbledInput("bad parts list");
  }
  return last === undefined ? { sequence, parts } : { sequence, parts, last };
}
