/** Where an open file has data, in whole blocks; a device has data everywhere. */
import { nextData, nextHole } from "../../common/sys/files.js";
import type { ByteRange } from "./maps/ranges.js";

export interface ExtentsOptions {
  fd: number;
  size: number;
  blockSize: number;
  /** False: all of it is data, nobody need ask. */
  hasHoles: boolean;
}

/** Data without a hole is given in pieces of about this size: looking for the next hole may take long. */
const MAX_EXTENT_BYTES = 1024 * 1024 * 1024;

/**
 * Ascending, not overlapping; they begin at a multiple of `blockSize` and end at one or at the file's
 * end. Asks the file system (SEEK_DATA, SEEK_HOLE: lseek(2)) only as far as it is consumed. @throws SysError
 */
export function* dataExtents({ fd, size, blockSize, hasHoles }: ExtentsOptions): Generator<ByteRange> {
  if (!hasHoles) {
    if (size > 0) yield { start: 0, end: size };
    return;
  }
  let start = -1;
  let end = 0;
  while (end < size) {
    const found = nextData(fd, end);
    if (found < 0 || found >= size) break;
    // A file system may answer with less than was asked for; going back would never end.
    const data = Math.max(end, found - (found % blockSize));
    const hole = nextHole(fd, Math.max(found, end));
    const stop = hole < 0 ? size : Math.max(hole, found + 1, end + 1);
    if (start < 0) start = data;
    else if (data > end || end - start >= MAX_EXTENT_BYTES) {
      yield { start, end };
      start = data;
    }
    end = Math.min(size, Math.ceil(stop / blockSize) * blockSize);
  }
  if (start >= 0) yield { start, end };
}

/**
 * What of the extents is in no free range. Both ascend; free ranges are whole blocks. Nothing is looked at before it
 * is consumed.
 */
export function* withoutFree(extents: Iterable<ByteRange>, free: Iterator<ByteRange>): Generator<ByteRange> {
  let hole = free.next();
  for (const { start, end } of extents) {
    let at = start;
    while (at < end) {
      while (hole.done !== true && hole.value.end <= at) hole = free.next();
      if (hole.done === true || hole.value.start >= end) {
        yield { start: at, end };
        break;
      }
      if (hole.value.start > at) yield { start: at, end: hole.value.start };
      at = hole.value.end;
    }
  }
}
