/** The blocks of an image that the file systems in it call free (maps/). */
import { DirectSource } from "./direct-source.js";
import { type FreeSpace, freeSpace } from "./maps/free-space.js";
import type { ByteRange } from "./maps/ranges.js";
import { type CountingSource, FdSource } from "./maps/source.js";

export class FreeBlocks {
  readonly #source: CountingSource;
  readonly #space: FreeSpace;

  /** Looks at all maps. `direct`: the descriptor, which stays the caller's, was opened with O_DIRECT. */
  constructor({ fd, size, direct }: { fd: number; size: number; direct: boolean }) {
    this.#source = direct ? new DirectSource(fd, size) : new FdSource(fd, size);
    this.#space = freeSpace(this.#source);
  }

  /** For the maps, so far. */
  get bytesRead(): number {
    return this.#source.bytesRead;
  }

  /** For the job's report: one line per partition. */
  get notes(): string[] {
    return this.#space.notes.map((note) => `SkipFree: ${note}`);
  }

  /** Whole blocks, ascending. What cannot be read any more is taken for used. */
  *ranges(blockSize: number): Generator<ByteRange> {
    try {
      yield* this.#space.ranges(blockSize);
    } catch {
      // The rest is read.
    }
  }
}
