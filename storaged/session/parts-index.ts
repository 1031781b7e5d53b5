/** Where in a content its parts lie: found anywhere in it without reading its whole list again and again. */
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";

export interface PartAt {
  /** In the content. */
  offset: number;
  length: number;
  /** Undefined for zeros. */
  digest: Buffer | undefined;
}

/** The segment with the smallest number above `after`. */
export type NextSegment = (after: number) => { seq: number; data: Buffer } | undefined;

/** Lists of segments kept: reads of a file system jump between a few places. */
const KEPT_SEGMENTS = 16;

/**
 * Two numbers are kept per segment (hundreds of parts) that was passed on the way to an offset; a terabyte in blocks
 * of 64 KiB has some 30,000 of them.
 */
export class PartsIndex {
  readonly #next: NextSegment;
  readonly #seqs: number[] = [];
  readonly #starts: number[] = [];
  /** Behind the last segment that was passed. */
  #end = 0;
  readonly #kept = new Map<number, Buffer>();

  constructor(next: NextSegment) {
    this.#next = next;
  }

  /** Parts that overlap the range, in order. Nothing beyond the content's end. */
  *within(offset: number, length: number): Generator<PartAt> {
    const end = offset + length;
    this.#reach(offset);
    const first = this.#segmentOf(offset);
    if (first < 0) return;
    let at = this.#starts[first]!;
    for (let i = first; at < end && (i < this.#seqs.length || this.#pass()); i++) {
      for (const part of partsOf(this.#segment(i))) {
        if (at >= end) return;
        if (at + part.length > offset) yield { ...part, offset: at };
        at += part.length;
      }
    }
  }

  /** Goes on through the segments until one behind `offset` was met. */
  #reach(offset: number): void {
    while (this.#end <= offset) if (!this.#pass()) return;
  }

  /** False at the end of the list. */
  #pass(): boolean {
    const found = this.#next(this.#seqs.at(-1) ?? -1);
    if (found === undefined) return false;
    this.#seqs.push(found.seq);
    this.#starts.push(this.#end);
    this.#keep(found.seq, found.data);
    for (let at = 0; at < found.data.length; at += PART_BYTES) this.#end += found.data.readUInt32LE(at);
    return true;
  }

  /** The last segment that begins at or before `offset`; -1 when there is none. */
  #segmentOf(offset: number): number {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #segment(i: number): Buffer {
    const seq = this.#seqs[i]!;
    const kept = this.#kept.get(seq);
    if (kept !== undefined) return kept;
    const data = this.#next(seq - 1)?.data ?? Buffer.alloc(0);
    this.#keep(seq, data);
    return data;
  }

  #keep(seq: number, data: Buffer): void {
    this.#kept.set(seq, data);
    if (this.#kept.size > KEPT_SEGMENTS) this.#kept.delete(this.#kept.keys().next().value!);
  }
}

function* partsOf(segment: Buffer): Generator<{ length: number; digest: Buffer | undefined }> {
  for (let at = 0; at < segment.length; at += PART_BYTES) {
    const digest = segment.subarray(at + 4, at + PART_BYTES);
    const length = segment.readUInt32LE(at);
    yield { length, digest: digest.equals(ZERO_DIGEST) ? undefined : digest };
  }
}
