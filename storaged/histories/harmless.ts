/** Bits of a volume that say nothing: whoever flips one harms nobody. */

import { basename } from "node:path";
import { SKIPPABLE_HEADER_BYTES } from "../../common/format/frame.js";
import type { Db } from "../catalog/schema.js";
import type { Store } from "../store/store.js";
import { unpackFrame } from "../volume/frame-check.js";
import { VolumeReader } from "../volume/reader.js";

/**
 * Is `at` in a frame that decompresses to the same in both contents of the volume? The padding of its bit streams
 * (RFC 8878, 4.1) gives the same bytes back whatever it is, and no digest can tell.
 */
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

/**
 * Is `at` in a frame that the catalog does not know here, and does all its content lie on other volumes? A vacuum that
 * was cut off leaves such frames, and older lists of files (which have no chunks); nobody reads them any more.
 */
export async function isMovedAway(store: Store, db: Db, path: string, at: number): Promise<boolean> {
  const known = db.prepare(
    "SELECT 1 FROM frame f JOIN volume v ON v.id = f.volume WHERE v.name = ? AND f.offset = ?",
  );
  const elsewhere = db
    .prepare<[Buffer, string], number>(
      `SELECT count(*) FROM chunk c JOIN frame f ON f.id = c.frame JOIN volume v ON v.id = f.volume
       WHERE c.digest = ? AND c.damaged = 0 AND v.name <> ?`,
    )
    .pluck();
  const reader = await VolumeReader.open(store, path);
  try {
    for await (const item of reader.scan({ frames: false })) {
      if (item.type !== "frame" || at < item.offset || at >= item.end) continue;
      if (known.get(basename(path), item.offset) !== undefined) return false;
      const { entries } = item.index;
      return entries.every(({ digest }) => elsewhere.get(digest, basename(path))! > 0);
    }
    return false;
  } finally {
    await reader.close();
  }
}
