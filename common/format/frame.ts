/**
 * What stands between the zstd frames of a volume: skippable frames (RFC 8878, section 3.1.2) with Basalt's
 * records, which zstd and tar pass over.
 *
 *   u32le 0x184D2A5B | u32le payload bytes | payload
 *   payload: "BSLT" | u8 version | u8 kind | u16le required feature flags | u8 cipher | u8[3] zero |
 *            u8[16] key id (zero: none) | body | u32le CRC-32 of everything in the payload before it
 *
 * A reader refuses versions, ciphers and required flags that it does not know.
 */
import { crc32 } from "node:zlib";
import { DIGEST_BYTES, MAX_FRAME_RAW_BYTES } from "./content.js";
import { ByteReader, ByteWriter, GarbledInput } from "./varint.js";

export const SKIPPABLE_MAGIC = 0x184d2a5b;
export const ZSTD_MAGIC = 0xfd2fb528;
const SIGNATURE = 0x544c5342; // "BSLT" little-endian
const VERSION = 1;
const FIXED_BYTES = 28;
/** Bytes of a skippable frame before its payload. */
export const SKIPPABLE_HEADER_BYTES = 8;
/** Largest payload a reader accepts. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

export const RecordKind = {
  /** JSON; first record of a volume. */
  label: 1,
  /** Binary index of the zstd frame that follows directly. */
  frameIndex: 2,
  /** JSON; a job begins to write on this volume. */
  jobBegin: 3,
  /** JSON; a job was committed: everything needed to make its catalog records again. */
  jobEnd: 4,
  /** JSON; a change of what exists that moves no content. */
  catalog: 5,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** One record as a complete skippable frame. */
export function encodeRecord(kind: RecordKind, body: Uint8Array): Buffer {
  const out = Buffer.alloc(SKIPPABLE_HEADER_BYTES + FIXED_BYTES + body.length + 4);
  out.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  out.writeUInt32LE(out.length - SKIPPABLE_HEADER_BYTES, 4);
  out.writeUInt32LE(SIGNATURE, 8);
  out[12] = VERSION;
  out[13] = kind;
  out.set(body, SKIPPABLE_HEADER_BYTES + FIXED_BYTES);
  out.writeUInt32LE(crc32(out.subarray(SKIPPABLE_HEADER_BYTES, out.length - 4)), out.length - 4);
  return out;
}

/** Kind and body of a record's payload (without the 8 bytes of the skippable header). @throws GarbledInput */
export function decodeRecord(payload: Buffer): { kind: RecordKind; body: Buffer } {
  if (payload.length < FIXED_BYTES + 4) throw new GarbledInput("record too short");
  if (payload.readUInt32LE(0) !== SIGNATURE) throw new GarbledInput("not a Basalt record");
  if (payload.readUInt32LE(payload.length - 4) !== crc32(payload.subarray(0, payload.length - 4))) {
    throw new GarbledInput("record checksum differs");
  }
  if (payload[4] !== VERSION)
    throw new GarbledInput(`volume format ${payload[4]}: this program knows format 1`);
  const flags = payload.readUInt16LE(6);
  if (flags !== 0)
    throw new GarbledInput(`record needs features 0x${flags.toString(16)} that this program lacks`);
  if (payload[8] !== 0) throw new GarbledInput(`record uses cipher ${payload[8]}, unknown to this program`);
  return { kind: payload[5] as RecordKind, body: payload.subarray(FIXED_BYTES, payload.length - 4) };
}

/** Where one chunk lies in the decompressed frame. */
export interface FrameEntry {
  digest: Buffer;
  /** Bytes from the start of the decompressed frame to the chunk's data. */
  offset: number;
  length: number;
}

/** Index of a data frame: who wrote it, how long it is, which chunks it holds. */
export interface FrameIndex {
  /** 16 bytes. */
  jobUuid: Buffer;
  /** Number of the frame within its job, from 0. */
  sequence: number;
  compressedBytes: number;
  rawBytes: number;
  entries: FrameEntry[];
}

/** Upper bound of a frame's index record. */
export function maxIndexBytes(entries: number): number {
  return 128 + 42 * entries;
}

export function encodeFrameIndex(index: FrameIndex): Buffer {
  const out = new ByteWriter(64 + index.entries.length * 40);
  out.raw(index.jobUuid);
  out.uint(index.sequence);
  out.uint(index.compressedBytes);
  out.uint(index.rawBytes);
  writeEntries(out, index.entries);
  return Buffer.from(out.bytes());
}

/** @throws GarbledInput */
export function decodeFrameIndex(body: Buffer): FrameIndex {
  const reader = new ByteReader(body);
  const jobUuid = reader.raw(16);
  const sequence = reader.uint();
  const compressedBytes = reader.uint();
  const rawBytes = reader.uint();
  if (rawBytes > MAX_FRAME_RAW_BYTES) throw new GarbledInput("frame too large");
  const entries = readEntries(reader, rawBytes);
  if (!reader.done) throw new GarbledInput("bytes after the frame index");
  return { jobUuid, sequence, compressedBytes, rawBytes, entries };
}

/** Entries as they stand in a frame index and on the wire: uint count, then digest, uint offset, uint length. */
export function writeEntries(out: ByteWriter, entries: readonly FrameEntry[]): void {
  out.uint(entries.length);
  for (const entry of entries) {
    out.raw(entry.digest);
    out.uint(entry.offset);
    out.uint(entry.length);
  }
}

/**
 * Entries are in the order of the frame and do not overlap, so that looking at all of them is never more work than
 * looking at the frame.
 * @throws GarbledInput when they do, or when one reaches outside the frame
 */
export function readEntries(reader: ByteReader, rawBytes: number): FrameEntry[] {
  const count = reader.uint();
  if (count > rawBytes) throw new GarbledInput("more chunks than bytes");
  const entries: FrameEntry[] = [];
  let free = 0;
  for (let i = 0; i < count; i++) {
    const digest = reader.raw(DIGEST_BYTES);
    const offset = reader.uint();
    const length = reader.uint();
    if (length === 0 || offset + length > rawBytes) throw new GarbledInput("chunk outside its frame");
    if (offset < free) throw new GarbledInput("chunks that overlap");
    free = offset + length;
    entries.push({ digest, offset, length });
  }
  return entries;
}
