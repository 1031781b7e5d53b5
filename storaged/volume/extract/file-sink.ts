/** Writes the content of one extracted file. */
import { ftruncateSync, writeSync } from "node:fs";
import { BackupError } from "../../../common/errors.js";

const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(64 * 1024);

/** The bytes of one file, in order. */
export class FileSink {
  readonly #fd: number;
  readonly #sparse: boolean;
  #at = 0;

  constructor(fd: number, sparse: boolean) {
    this.#fd = fd;
    this.#sparse = sparse;
  }

  write(bytes: Buffer): void {
    if (!this.#sparse) {
      this.#put(bytes, this.#at);
      this.#at += bytes.length;
      return;
    }
    for (let from = 0; from < bytes.length; ) {
      const end = Math.min(bytes.length, from + HOLE_BYTES - ((this.#at + from) % HOLE_BYTES));
      if (ZEROS.compare(bytes, from, end, 0, end - from) !== 0)
        this.#put(bytes.subarray(from, end), this.#at + from);
      from = end;
    }
    this.#at += bytes.length;
  }

  /** So many zero bytes: a hole in a sparse file. */
  zeros(length: number): void {
    if (!this.#sparse) {
      for (let rest = length; rest > 0; rest -= ZEROS.length)
        this.#put(ZEROS.subarray(0, Math.min(rest, ZEROS.length)), this.#at + length - rest);
    }
    this.#at += length;
  }

  /** @throws BackupError EXTRACT_FAILED when that was not the whole file */
  end(size: number): void {
    if (this.#at !== size)
      throw new BackupError("EXTRACT_FAILED", `its content has ${this.#at} bytes, not ${size}`);
    ftruncateSync(this.#fd, size);
  }

  #put(bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
  }
}
