/**
 * Bits of a compressed frame that say nothing: the padding of its bit streams (RFC 8878, 4.1). Whoever flips one gets
 * the same bytes back, and no digest can tell.
 */

import { basename } from "node:path";
import { SKIPPABLE_HEADER_BYTES } from "../../common/format/frame.js";
import type { Db } from "../catalog/schema.js";
import { unpackFrame } from "../volume/frame-check.js";

/** Is `at` in a frame that decompresses to the same in both contents of the volume? */
export function isHarmless(db: Db, path: string, content: Buffer, broken: Buffer, at: number): boolean {
  const frame = db
    .prepare<[string, number, number], { offset: number; bytes: number; raw_bytes: number }>(
      `SELECT f.offset, f.bytes, f.raw_bytes FROM frame f JOIN volume v ON v.id = f.volume
       WHERE v.name = ? AND f.offset <= ? AND f.offset + f.bytes > ?`,
    )
    .get(basename(path), at, at);
  if (frame === undefined) return false;
  // An index record stands before the frame.
  const start = frame.offset + SKIPPABLE_HEADER_BYTES + content.readUInt32LE(frame.offset + 4);
  if (at < start) return false;
  const unpack = (volume: Buffer) =>
    unpackFrame(
      Buffer.alloc(frame.raw_bytes),
      volume.subarray(start, frame.offset + frame.bytes),
      frame.raw_bytes,
    );
  return unpack(content).equals(unpack(broken));
}
