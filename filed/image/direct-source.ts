/**
 * Small reads at any place through a descriptor that takes none but direct ones.
 *
 * The maps must be read past the page cache, as the data are: a mounted file system does not write its metadata
 * through the cache of its block device (xfs has its own, partitions have their own), so what an earlier look left there
 * is as old as that look, whole and consistent, and calls free what has been written since.
 */
import { readSync } from "node:fs";
import { alignedMemory } from "./aligned.js";
import type { CountingSource } from "./maps/source.js";

/** Bitmaps of neighbouring groups lie together: so much is read at once and kept. */
const CHUNK_BYTES = 64 * 1024;

export class DirectSource implements CountingSource {
  bytesRead = 0;
  readonly size: number;
  readonly #fd: number;
  readonly #chunk = alignedMemory(CHUNK_BYTES);
  #chunkAt = -1;
  #chunkBytes = 0;

  /** `fd` stays the caller's. */
  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = size;
  }

  read(buffer: Buffer, offset: number): number {
    let done = 0;
    while (done < buffer.length) {
      const at = offset + done;
      this.#load(at - (at % CHUNK_BYTES));
      const from = at - this.#chunkAt;
      if (from >= this.#chunkBytes) break;
      done += this.#chunk.copy(buffer, done, from, this.#chunkBytes);
    }
    return done;
  }

  #load(at: number): void {
    if (this.#chunkAt === at) return;
    this.#chunkAt = -1;
    let got = 0;
    while (got < CHUNK_BYTES && at + got < this.size) {
      const count = readSync(this.#fd, this.#chunk, got, CHUNK_BYTES - got, at + got);
      got += count;
      this.bytesRead += count;
      // Less than whole sectors is the end.
      if (count === 0 || count % 512 !== 0) break;
    }
    this.#chunkBytes = Math.min(got, Math.max(0, this.size - at));
    this.#chunkAt = at;
  }
}
