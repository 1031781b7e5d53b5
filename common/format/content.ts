/**
 * Content identity and chunking: part of the volume format, never to be changed within format 1.
 *
 * Content of up to MAX_WHOLE_BYTES is one chunk, its identity the BLAKE3 of its bytes (32 bytes; the
 * BLAKE3 paper, 2020, and its reference implementation). Larger content is a list of parts; its identity is BLAKE3
 * over PARTS_DOMAIN followed by, per part, u32le length and 32 bytes of digest. A run of zeros is a part with the
 * all-zero digest: nothing is stored for it.
 */
import { createHash } from "node:crypto";
import { endianness } from "node:os";
import { Blake3Hasher, blake3UrlSafeBase64 } from "@napi-rs/blake-hash";

/** Files up to this size are one chunk. */
export const MAX_WHOLE_BYTES = 1024 * 1024;
/** Bounds and mean of content-defined chunks. */
export const CHUNK_MIN_BYTES = 32 * 1024;
export const CHUNK_MAX_BYTES = 512 * 1024;
/** Longest run of zeros in one part. */
export const ZERO_MAX_BYTES = 0x8000_0000;
/** A frame is closed when its tar members reach this; one member never exceeds MAX_WHOLE_BYTES plus headers. */
export const FRAME_TARGET_BYTES = 1024 * 1024;
/** Most raw bytes of one frame that a reader accepts. */
export const MAX_FRAME_RAW_BYTES = 8 * 1024 * 1024;

export const DIGEST_BYTES = 32;
export const ZERO_DIGEST = Buffer.alloc(DIGEST_BYTES);
/** Bytes of one encoded part: u32le length, digest. */
export const PART_BYTES = 36;
const PARTS_DOMAIN = "basalt parts 1\n";

/** May a disk image be cut in blocks of this size? Powers of two from 4 KiB to MAX_WHOLE_BYTES. */
export function isBlockSize(bytes: number): boolean {
  return bytes >= 4096 && bytes <= MAX_WHOLE_BYTES && Math.log2(bytes) % 1 === 0;
}

/**
 * The digest that names a chunk: 32 bytes, in memory shared with other small buffers (copy what is to be kept long).
 * Taken as text: a buffer made by the library is freed in a later turn of the event loop, and a thread that has one
 * message behind the other may not come to that for a million files.
 */
export function contentDigest(bytes: Uint8Array): Buffer {
  return Buffer.from(blake3UrlSafeBase64(bytes), "base64url");
}

/** Used again and again: one is 2 KB, which the garbage collector does not know of. */
const idleHashers: Blake3Hasher[] = [];

/** Incremental identity of a parts list. Feed encoded parts (PART_BYTES each) in order. */
export class PartsIdentity {
  #hash: Blake3Hasher | undefined = (idleHashers.pop() ?? new Blake3Hasher()).update(PARTS_DOMAIN);

  add(encodedParts: Uint8Array): void {
    this.#open().update(encodedParts);
  }

  /** Ends it. */
  digest(): Buffer {
    const hash = this.#open();
    const digest = Buffer.alloc(DIGEST_BYTES);
    digest.write(hash.digest("hex"), "hex");
    this.#hash = undefined;
    hash.reset();
    idleHashers.push(hash);
    return digest;
  }

  #open(): Blake3Hasher {
    if (this.#hash === undefined) throw new Error("the identity has been taken already");
    return this.#hash;
  }
}

/** Writes one part at `at`; returns the offset behind it. */
export function encodePart(into: Buffer, at: number, length: number, digest: Buffer): number {
  into.writeUInt32LE(length, at);
  digest.copy(into, at + 4, 0, DIGEST_BYTES);
  return at + PART_BYTES;
}

/** 256 pseudo-random 32-bit values: the first four bytes (LE) of SHA-256("basalt gear 1 " + i). */
const GEAR = new Int32Array(256);
for (let i = 0; i < 256; i++)
  GEAR[i] = createHash("sha256").update(`basalt gear 1 ${i}`).digest().readInt32LE(0);

// Top bits of the rolling value must be zero at a cut: 18 before the mean (128 KiB), 15 behind it, which
// narrows the spread of sizes (normalised chunking: Xia et al., FastCDC, USENIX ATC 2016).
const MASK_STRICT = 0xffff_c000 | 0;
const MASK_LOOSE = 0xfffe_0000 | 0;
const CHUNK_MEAN_BYTES = 128 * 1024;

/**
 * End (exclusive) of the chunk that starts at `start` in `bytes[start..end)`. When `end` is not the end of the
 * file, call only with at least CHUNK_MAX_BYTES available: the cut then depends on content alone.
 */
export function findCut(bytes: Uint8Array, start: number, end: number): number {
  const available = end - start;
  if (available <= CHUNK_MIN_BYTES) return end;
  const limit = start + Math.min(available, CHUNK_MAX_BYTES);
  const mean = Math.min(limit, start + CHUNK_MEAN_BYTES);
  const before = scan(bytes, { start: start + CHUNK_MIN_BYTES, end: mean, roll: 0, mask: MASK_STRICT });
  if (before.found) return before.at;
  return scan(bytes, { start: mean, end: limit, roll: before.roll, mask: MASK_LOOSE }).at;
}

interface Scan {
  start: number;
  end: number;
  /** Rolling value before `start`. */
  roll: number;
  mask: number;
}

const LITTLE_ENDIAN = endianness() === "LE";
const NO_WORDS = new Int32Array(0);

/** Rolls until a cut (`at` is behind it) or the end. Four bytes a step: an access to memory costs more than the sum. */
function scan(bytes: Uint8Array, { start, end, roll, mask }: Scan) {
  const toWord = Math.min(end - start, -(bytes.byteOffset + start) & 3);
  const head = start + toWord;
  const count = LITTLE_ENDIAN ? (end - head) >> 2 : 0;
  const words = count === 0 ? NO_WORDS : new Int32Array(bytes.buffer, bytes.byteOffset + head, count);
  let at = start;
  for (; at < head; at++) {
    roll = ((roll << 1) + GEAR[bytes[at]!]!) | 0;
    if ((roll & mask) === 0) return { found: true, at: at + 1, roll };
  }
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const first = ((roll << 1) + GEAR[word & 255]!) | 0;
    const second = ((first << 1) + GEAR[(word >>> 8) & 255]!) | 0;
    const third = ((second << 1) + GEAR[(word >>> 16) & 255]!) | 0;
    roll = ((third << 1) + GEAR[word >>> 24]!) | 0;
    if ((first & mask) === 0) return { found: true, at: head + i * 4 + 1, roll };
    if ((second & mask) === 0) return { found: true, at: head + i * 4 + 2, roll };
    if ((third & mask) === 0) return { found: true, at: head + i * 4 + 3, roll };
    if ((roll & mask) === 0) return { found: true, at: head + i * 4 + 4, roll };
  }
  for (at = head + words.length * 4; at < end; at++) {
    roll = ((roll << 1) + GEAR[bytes[at]!]!) | 0;
    if ((roll & mask) === 0) return { found: true, at: at + 1, roll };
  }
  return { found: false, at: end, roll };
}
