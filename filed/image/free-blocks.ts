/** The blocks of an image that the file systems in it call free (maps/), for as long as it is planned. */
import { closeFd } from "../../common/sys/files.js";
import { AT_FDCWD } from "../../common/sys/native.js";
import { openQuietly } from "../sys/stat.js";
import { type FreeSpace, freeSpace } from "./maps/free-space.js";
import type { ByteRange } from "./maps/ranges.js";
import { FdSource } from "./maps/source.js";

export class FreeBlocks {
  readonly #fd: number;
  readonly #space: FreeSpace;

  /**
   * Looks at all maps. `imageFd` may be open for direct reads, which small ones cannot use: the image is opened once
   * more, until `close`. @throws SysError
   */
  constructor(imageFd: number, size: number) {
    this.#fd = openQuietly(AT_FDCWD, `/proc/self/fd/${imageFd}`, 0);
    try {
      this.#space = freeSpace(new FdSource(this.#fd, size));
    } catch (error) {
      closeFd(this.#fd);
      throw error;
    }
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

  close(): void {
    closeFd(this.#fd);
  }
}
