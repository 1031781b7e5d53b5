/**
 * Which bytes of a disk image are read together. A window is a list of gaps (zeros, not read) and runs of blocks:
 *
 *   uint offset of the first gap in the image | uint count | count * (uint gap bytes | uint run bytes)
 *
 * A run begins at a multiple of the block size and ends at one or at the image's end; the last one may be empty.
 */
import { ByteReader, ByteWriter } from "../../common/format/varint.js";
import type { ByteRange } from "./maps/ranges.js";

/** A window ends early when an image is so ragged that it has this many runs. */
const MAX_RUNS = 1024;

export interface PlannerOptions {
  size: number;
  /** What is to be read, ascending: whole blocks. */
  runs: Iterator<ByteRange>;
  /** Bytes read per window at most, a multiple of the block size. */
  windowBytes: number;
}

export class ImagePlanner {
  readonly #options: PlannerOptions;
  readonly #out = new ByteWriter(8 * 1024);
  #at = 0;
  #rest: ByteRange | undefined;
  #done: boolean;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#done = options.size === 0;
  }

  /** Everything up to the image's end is planned. */
  get done(): boolean {
    return this.#done;
  }

  /** The next window; not to be called when `done`. */
  next(): Uint8Array {
    const { size, windowBytes } = this.#options;
    const start = this.#at;
    const pairs: number[] = [];
    let room = windowBytes;
    while (room > 0 && pairs.length < MAX_RUNS * 2 && !this.#done) {
      const run = this.#take(room);
      pairs.push(run.start - this.#at, run.end - run.start);
      room -= run.end - run.start;
      this.#at = run.end;
      this.#done = this.#at >= size;
    }
    this.#out.clear();
    this.#out.uint(start);
    this.#out.uint(pairs.length / 2);
    for (const number of pairs) this.#out.uint(number);
    return new Uint8Array(this.#out.bytes());
  }

  /** At most `room` bytes of the next run; an empty one at the image's end when there is none. */
  #take(room: number): ByteRange {
    const { size, runs } = this.#options;
    let run = this.#rest;
    this.#rest = undefined;
    if (run === undefined) {
      const next = runs.next();
      run = next.done === true ? { start: size, end: size } : next.value;
    }
    if (run.end - run.start <= room) return run;
    this.#rest = { start: run.start + room, end: run.end };
    return { start: run.start, end: run.start + room };
  }
}

export interface WindowPlan {
  at: number;
  runs: { gap: number; length: number }[];
}

export function decodePlan(bytes: Uint8Array): WindowPlan {
  const reader = new ByteReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const at = reader.uint();
  const count = reader.uint();
  const runs: WindowPlan["runs"] = [];
  for (let i = 0; i < count; i++) runs.push({ gap: reader.uint(), length: reader.uint() });
  return { at, runs };
}
