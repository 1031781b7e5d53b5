/** Finds the next good record behind damage. */
import {
  decodeRecord,
  MAX_RECORD_BYTES,
  SKIPPABLE_HEADER_BYTES,
  SKIPPABLE_MAGIC,
} from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { StoreFile } from "../store/store.js";

const CHUNK_BYTES = 1024 * 1024;
/** Skippable header and the signature behind it. */
const START_BYTES = SKIPPABLE_HEADER_BYTES + 4;
const MAGIC = Buffer.alloc(4);
MAGIC.writeUInt32LE(SKIPPABLE_MAGIC);

/**
 * Offset of the first record at or behind `from` whose checksum is right; the end of the file when there is none
 * or when `search.budget` bytes have been read, which a file full of false starts would otherwise drive up
 * without bound.
 */
export async function findRecord(file: StoreFile, from: number, search: { budget: number }): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let base = from; base < file.size && search.budget > 0; ) {
    const count = await file.readAt(buffer, base);
    search.budget -= count;
    const chunk = buffer.subarray(0, count);
    for (let at = chunk.indexOf(MAGIC); at >= 0; at = chunk.indexOf(MAGIC, at + 1)) {
      if (at + START_BYTES > count) break;
      if (chunk.latin1Slice(at + 8, at + 12) !== "BSLT") continue;
      if (await isRecord(file, base + at, chunk.readUInt32LE(at + 4), search)) return base + at;
      if (search.budget <= 0) break;
    }
    if (count < START_BYTES) break;
    base += count - START_BYTES + 1;
  }
  return file.size;
}

async function isRecord(
  file: StoreFile,
  offset: number,
  bytes: number,
  search: { budget: number },
): Promise<boolean> {
  const start = offset + SKIPPABLE_HEADER_BYTES;
  if (bytes > MAX_RECORD_BYTES || start + bytes > file.size) return false;
  search.budget -= bytes;
  const payload = Buffer.allocUnsafeSlow(bytes);
  if ((await file.readAt(payload, start)) < bytes) return false;
  try {
    decodeRecord(payload);
    return true;
  } catch (error) {
    if (error instanceof GarbledInput) return false;
    throw error;
  }
}
