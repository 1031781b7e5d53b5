/** Ascending streams of byte ranges. */

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Joins ranges that touch. The input ascends and does not overlap. */
export function* joined(ranges: Iterable<ByteRange>): Generator<ByteRange> {
  let start = 0;
  let end = 0;
  for (const range of ranges) {
    if (range.start === end) {
      end = range.end;
      continue;
    }
    if (end > start) yield { start, end };
    ({ start, end } = range);
  }
  if (end > start) yield { start, end };
}

/**
 * The whole blocks of `blockSize` bytes, counted from 0, that lie within the ranges. The input ascends and does not
 * overlap; ranges that touch are joined first, so that a block free in two pieces counts.
 */
export function* wholeBlocks(ranges: Iterable<ByteRange>, blockSize: number): Generator<ByteRange> {
  for (const range of joined(ranges)) {
    const start = Math.ceil(range.start / blockSize) * blockSize;
    const end = Math.floor(range.end / blockSize) * blockSize;
    if (end > start) yield { start, end };
  }
}
