/**
 * What the maps read a disk image through. A guest owns every byte of its disk, so nothing that is read is believed:
 * whatever does not fit ends in `NoMap`, and then that part of the disk is read whole.
 */
import { readSync } from "node:fs";
import { describeError } from "../../../common/errors.js";

/** A disk image or block device that does not change while it is looked at (a snapshot, a machine that is off). */
export interface BlockSource {
  /** Bytes. */
  readonly size: number;
  /**
   * Fills `buffer` from byte `offset`, at any alignment. Returns the bytes read: fewer than asked for only at the end.
   * May throw on input/output errors; the maps then give up the part concerned.
   */
  read(buffer: Buffer, offset: number): number;
}

/** A source that says how much was read from below it. */
export interface CountingSource extends BlockSource {
  readonly bytesRead: number;
}

/** An open file or block device. The caller closes the descriptor, and says the size: a device's stat has none. */
export class FdSource implements CountingSource {
  bytesRead = 0;

  constructor(
    private readonly fd: number,
    readonly size: number,
  ) {}

  read(buffer: Buffer, offset: number): number {
    let done = 0;
    while (done < buffer.length) {
      const got = readSync(this.fd, buffer, done, buffer.length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    this.bytesRead += done;
    return done;
  }
}

/** Why no part of something may be left out. The message is a short phrase for the job's report. */
export class NoMap extends Error {
  /** Name of the file system, when that much is known. */
  readonly filesystem: string | undefined;

  constructor(reason: string, filesystem?: string) {
    super(reason);
    this.name = "NoMap";
    this.filesystem = filesystem;
  }
}

/** A stretch of a source, read by offsets within it. */
export class Area {
  constructor(
    private readonly source: BlockSource,
    /** Where it begins in the source, in bytes. */
    readonly start: number,
    /** Bytes. */
    readonly size: number,
  ) {}

  /** A part of this one. @throws NoMap when it does not lie within */
  part(offset: number, size: number): Area {
    if (!(offset >= 0 && size >= 0 && offset + size <= this.size)) throw new NoMap("reaches beyond the disk");
    return new Area(this.source, this.start + offset, size);
  }

  /** `length` bytes at `offset`, in a new buffer. @throws NoMap outside of the area, or when it cannot be read */
  read(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    this.readInto(buffer, offset);
    return buffer;
  }

  /** Fills `buffer`. @throws NoMap outside of the area, or when it cannot be read */
  readInto(buffer: Buffer, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + buffer.length > this.size) {
      throw new NoMap("damaged: something lies outside of it");
    }
    let got: number;
    try {
      got = this.source.read(buffer, this.start + offset);
    } catch (error) {
      throw new NoMap(`not readable (${describeError(error)})`);
    }
    if (got !== buffer.length) throw new NoMap("not readable (shorter than it says)");
  }
}

/** A 64-bit number as a double. @throws NoMap from 2^53 on */
export function safeU64(buffer: Buffer, offset: number, bigEndian = false): number {
  const value = Number(bigEndian ? buffer.readBigUInt64BE(offset) : buffer.readBigUInt64LE(offset));
  if (!Number.isSafeInteger(value)) throw new NoMap("damaged: a number is too large");
  return value;
}
