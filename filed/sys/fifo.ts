/** Named pipes, read and written by a thread that may wait, but not for ever, and not past the end of its job. */
import { readSync, writeSync } from "node:fs";
import { codeOf } from "../../common/errors.js";
import { closeFd, openAt } from "../../common/sys/files.js";
import { O_NOFOLLOW } from "../../common/sys/native.js";
import { monotonicMs } from "../../common/time.js";
import { O_NONBLOCK } from "./stat.js";

/** How long the other end may take to come, as in Bacula. */
export const FIFO_OPEN_MS = 60_000;
/** How long an other end that is there may do nothing. */
const FIFO_IDLE_MS = 3_600_000;
/** A reader gives its thread back for other files after this. */
const SLICE_MS = 200;
const PAUSE_MS = 10;
const O_WRONLY = 1;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Nothing else of this thread goes on meanwhile. */
function pause(): void {
  Atomics.wait(sleeper, 0, 0, PAUSE_MS);
}

/** The reading end of a pipe that was opened without waiting. The descriptor stays the caller's. */
export class FifoReader {
  readonly #openMs: number;
  /** A writer was there: no more bytes mean that it has ended. */
  #begun = false;
  #sinceMs = monotonicMs();

  constructor(openMs = FIFO_OPEN_MS) {
    this.#openMs = openMs;
  }

  /**
   * Bytes read into the buffer, 0 at the end, -1 when there are none yet.
   * @throws Error when nobody writes for too long
   */
  read(fd: number, into: Buffer, offset: number, length: number): number {
    const sliceEnd = monotonicMs() + SLICE_MS;
    for (;;) {
      const count = readOnce(fd, into, offset, length);
      if (count > 0) {
        this.#begun = true;
        this.#sinceMs = monotonicMs();
        return count;
      }
      if (count === 0 && this.#begun) return 0;
      if (count < 0) this.#begun = true;
      const waitedMs = monotonicMs() - this.#sinceMs;
      const limitMs = this.#begun ? FIFO_IDLE_MS : this.#openMs;
      if (waitedMs > limitMs)
        throw new Error(`nothing was written to the named pipe within ${Math.round(limitMs / 1000)} seconds`);
      if (monotonicMs() >= sliceEnd) return -1;
      pause();
    }
  }
}

/** As readSync; -1 where it would have to wait. */
function readOnce(fd: number, into: Buffer, offset: number, length: number): number {
  try {
    return readSync(fd, into, offset, length, null);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return -1;
    throw error;
  }
}

export interface FifoTarget {
  /** Directory and name. */
  fd: number;
  name: string;
  /** True when the job is to end. */
  stopped: () => boolean;
  /** (Default: FIFO_OPEN_MS) */
  openMs?: number;
}

/**
 * Writes into an existing pipe what `next` gives, until it gives undefined. Each buffer is written before the next one is
 * asked for.
 * @throws Error when nobody reads for too long or the reader goes away; SysError
 */
export function writeFifo(target: FifoTarget, next: () => Buffer | undefined): void {
  const fd = openWriter(target);
  try {
    for (let bytes = next(); bytes !== undefined; bytes = next()) writeAllTo(fd, bytes, target);
  } finally {
    closeFd(fd);
  }
}

function openWriter({ fd, name, stopped, openMs = FIFO_OPEN_MS }: FifoTarget): number {
  const untilMs = monotonicMs() + openMs;
  for (;;) {
    try {
      return openAt(fd, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) !== "ENXIO") throw error;
    }
    if (stopped()) throw new Error("the job was ended");
    if (monotonicMs() > untilMs)
      throw new Error(`nobody read the named pipe within ${Math.round(openMs / 1000)} seconds`);
    pause();
  }
}

function writeAllTo(fd: number, bytes: Buffer, { stopped }: FifoTarget): void {
  let untilMs = monotonicMs() + FIFO_IDLE_MS;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done);
      untilMs = monotonicMs() + FIFO_IDLE_MS;
      continue;
    } catch (error) {
      if (codeOf(error) === "EPIPE") throw new Error("the reader of the named pipe has ended");
      if (codeOf(error) !== "EAGAIN") throw error;
    }
    if (stopped()) throw new Error("the job was ended");
    if (monotonicMs() > untilMs) throw new Error("the reader of the named pipe does not read");
    pause();
  }
}
