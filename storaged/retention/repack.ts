/** Frames on their way to another volume: checked, and taken apart when little of them lives. */
import { contentDigest } from "../../common/format/content.js";
import { type FrameEntry, readEntries, writeEntries } from "../../common/format/frame.js";
import { ByteReader, ByteWriter, GarbledInput } from "../../common/format/varint.js";
import { Compressor } from "../../common/format/zstd.js";
import { unpackFrame } from "../volume/frame-check.js";
import { walkMember } from "../volume/tar-walk.js";

/** A frame as it is appended. */
export interface PackedFrame {
  rawBytes: number;
  entries: FrameEntry[];
  data: Buffer;
}

/** True when a frame's index on the volume says what the catalog says. */
export function sameEntries(entries: readonly FrameEntry[], stored: Uint8Array, rawBytes: number): boolean {
  const known = readEntries(new ByteReader(Buffer.from(stored)), rawBytes);
  return (
    known.length === entries.length &&
    known.every((entry, i) => {
      const other = entries[i]!;
      return (
        entry.offset === other.offset && entry.length === other.length && entry.digest.equals(other.digest)
      );
    })
  );
}

/**
 * The members whose content starts at one of `offsets`, byte for byte, as a frame of their own; members whose
 * content is not sound are left out. Undefined when nothing is left, or the frame cannot be unpacked.
 */
export function repack(
  frame: Buffer,
  rawBytes: number,
  entries: readonly FrameEntry[],
  offsets: ReadonlySet<number>,
): PackedFrame | undefined {
  try {
    const raw = unpackFrame(Buffer.allocUnsafeSlow(rawBytes), frame, rawBytes);
    const pieces: Buffer[] = [];
    const kept: FrameEntry[] = [];
    let length = 0;
    for (let at = 0; at < raw.length; ) {
      const member = walkMember(raw, at);
      const entry = entries.find(({ offset }) => offset === member.dataAt);
      if (entry !== undefined && offsets.has(entry.offset) && isSound(raw, entry)) {
        kept.push({ ...entry, offset: length + entry.offset - at });
        pieces.push(raw.subarray(at, member.end));
        length += member.end - at;
      }
      at = member.end;
    }
    if (kept.length === 0) return undefined;
    return { rawBytes: length, entries: kept, data: new Compressor(3).compress(Buffer.concat(pieces)) };
  } catch (error) {
    if (error instanceof GarbledInput) return undefined;
    throw error;
  }
}

function isSound(raw: Buffer, { digest, offset, length }: FrameEntry): boolean {
  return contentDigest(raw.subarray(offset, offset + length)).equals(digest);
}

/** Entries as the catalog stores them. */
export function encodeEntries(entries: readonly FrameEntry[]): Uint8Array {
  const out = new ByteWriter(16 + entries.length * 40);
  writeEntries(out, entries);
  return new Uint8Array(out.bytes());
}
