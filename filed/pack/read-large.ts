/**
 * Worker side: one large file as a stream of windows. Holes are found by SEEK_DATA and SEEK_HOLE and never read;
 * data is cut into content-defined chunks, runs of zeros become parts without bytes.
 */
import { readSync } from "node:fs";
import {
  CHUNK_MAX_BYTES,
  CHUNK_MIN_BYTES,
  contentDigest,
  findCut,
  MAX_WHOLE_BYTES,
} from "../../common/format/content.js";
import { EntryType } from "../../common/format/row.js";
import { type ByteReader, ByteWriter } from "../../common/format/varint.js";
import { Advice, advise, closeFd, nextData, nextHole } from "../../common/sys/files.js";
import { FifoReader } from "../sys/fifo.js";
import { newStat, statFd } from "../sys/stat.js";
import { SLOT_BYTES, type WindowReply } from "./protocol.js";
import { changed, differs, failureText, isVanished, NotAFile, openFile } from "./read-small.js";
import type { WorkerTask } from "./task.js";
import { isZero } from "./zeros.js";

/** A smaller hole costs more as a part of its own than its zeros do. */
const MIN_HOLE_BYTES = CHUNK_MIN_BYTES;
/** A window ends early when a file is so ragged that it has this many parts. */
const MAX_WINDOW_PARTS = 2048;

/** Part of a window as the main thread gets it: bytes in the slot, or `offset` -1 and zeros of any length. */
export interface WindowPart {
  length: number;
  offset: number;
  digest: Buffer | undefined;
}

export function writePart(out: ByteWriter, length: number, offset: number, digest: Buffer | undefined): void {
  out.uint(length);
  out.uint(offset + 1);
  if (digest !== undefined) out.raw(digest);
}

export function readPart(from: ByteReader): WindowPart {
  const length = from.uint();
  const offset = from.uint() - 1;
  return { length, offset, digest: offset < 0 ? undefined : from.raw(32) };
}

export class LargeReader {
  readonly #task: WorkerTask;
  readonly #force: boolean;
  readonly #windowBytes: number;
  #fd = -1;
  readonly #before = newStat();
  readonly #after = newStat();
  #holes = false;
  #pipe: FifoReader | undefined;
  #size = 0;
  /** File offset of the next byte to read. */
  #at = 0;
  /** End of the extent of data that #at lies in. */
  #dataEnd = 0;
  readonly #carry = Buffer.allocUnsafeSlow(CHUNK_MAX_BYTES);
  #carried = 0;
  readonly #parts = new ByteWriter(64 * 1024);
  #count = 0;
  #shrunk = false;

  /** `force`: read it as a large file even if it is small by now. `windowBytes`: at most WINDOW_BYTES. */
  constructor(task: WorkerTask, force: boolean, windowBytes: number) {
    this.#task = task;
    this.#force = force;
    this.#windowBytes = windowBytes;
  }

  /** The next window; after any state but `more` the reader is closed. */
  next(slot: Buffer): WindowReply {
    try {
      if (this.#fd < 0) {
        this.#open();
        if (this.#size <= MAX_WHOLE_BYTES && !this.#force) return this.#end("small", 0);
      }
      return this.#window(slot);
    } catch (error) {
      if (isVanished(error) && this.#fd < 0) return this.#end("vanished", 0);
      return { ...this.#end("failed", 0), error: failureText(error) };
    }
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  #open(): void {
    this.#fd = openFile(this.#task);
    statFd(this.#fd, this.#before);
    const { isFifo } = this.#task;
    if (this.#before.type !== (isFifo ? EntryType.fifo : EntryType.file)) throw new NotAFile();
    if (isFifo) {
      this.#pipe = new FifoReader();
      this.#size = Number.POSITIVE_INFINITY;
      return;
    }
    this.#size = this.#before.size;
    this.#holes = this.#before.blocks * 512 < this.#size;
    advise(this.#fd, 0, 0, Advice.sequential);
  }

  #end(state: WindowReply["state"], bytesRead: number): WindowReply {
    let unstable = false;
    if (state === "end" && this.#pipe === undefined) {
      statFd(this.#fd, this.#after);
      unstable =
        this.#shrunk || differs(this.#task.identity, this.#before) || changed(this.#before, this.#after);
    }
    this.close();
    const parts = new Uint8Array(this.#parts.bytes());
    return { state, parts, count: this.#count, bytesRead, size: this.#at, unstable };
  }

  #window(slot: Buffer): WindowReply {
    this.#parts.clear();
    this.#count = 0;
    this.#carry.copy(slot, 0, 0, this.#carried);
    let start = 0;
    let end = this.#carried;
    let bytesRead = 0;
    this.#carried = 0;
    while (this.#count < MAX_WINDOW_PARTS) {
      if (this.#at === this.#dataEnd) {
        start = this.#cut(slot, start, end, true);
        if (this.#at >= this.#size) return this.#end("end", bytesRead);
        this.#nextExtent();
        continue;
      }
      const room = Math.min(SLOT_BYTES - end, this.#windowBytes - bytesRead, this.#dataEnd - this.#at);
      if (room === 0) break;
      const count = this.#read(slot, end, room);
      // Nothing has come out of the pipe yet: other files may have the thread.
      if (count < 0) break;
      if (count === 0) {
        // A file that ended early was cut off by somebody.
        this.#shrunk = true;
        this.#size = this.#at;
        this.#dataEnd = this.#at;
        continue;
      }
      end += count;
      bytesRead += count;
      this.#at += count;
      start = this.#cut(slot, start, end, false);
    }
    // The tail has no certain cut yet; only a ragged file stops with more than the carry holds, never uncut.
    slot.copy(this.#carry, 0, start, end);
    this.#carried = end - start;
    const parts = new Uint8Array(this.#parts.bytes());
    return { state: "more", parts, count: this.#count, bytesRead, size: this.#at, unstable: false };
  }

  #read(slot: Buffer, offset: number, length: number): number {
    return this.#pipe === undefined
      ? readSync(this.#fd, slot, offset, length, this.#at)
      : this.#pipe.read(this.#fd, slot, offset, length);
  }

  /** Moves to the next data, telling the hole before it as zeros. */
  #nextExtent(): void {
    if (!this.#holes) {
      this.#dataEnd = this.#size;
      return;
    }
    const found = nextData(this.#fd, this.#at);
    const data = found < 0 ? this.#size : Math.min(found, this.#size);
    if (data > this.#at) this.#add(data - this.#at, -1, undefined);
    this.#at = data;
    this.#dataEnd = data;
    while (this.#dataEnd < this.#size) {
      const hole = nextHole(this.#fd, this.#dataEnd);
      if (hole < 0 || hole >= this.#size) {
        this.#dataEnd = this.#size;
        return;
      }
      const behind = nextData(this.#fd, hole);
      this.#dataEnd = hole;
      if (behind < 0 || behind - hole >= MIN_HOLE_BYTES) return;
      this.#dataEnd = Math.min(behind, this.#size);
    }
  }

  /** Cuts slot[start, end) into chunks as far as that is certain (all of it when `last`); returns the rest's start. */
  #cut(slot: Buffer, start: number, end: number, last: boolean): number {
    let at = start;
    while (last ? at < end : end - at >= CHUNK_MAX_BYTES) {
      // A long run of zeros is told at memory speed; shorter ones end up inside or as a chunk of their own.
      let cut = at + Math.min(end - at, CHUNK_MAX_BYTES);
      let zero = isZero(slot, at, cut);
      if (!zero) {
        cut = findCut(slot, at, end);
        zero = isZero(slot, at, cut);
      }
      if (zero) this.#add(cut - at, -1, undefined);
      else this.#add(cut - at, at, contentDigest(slot.subarray(at, cut)));
      at = cut;
    }
    return at;
  }

  #add(length: number, offset: number, digest: Buffer | undefined): void {
    writePart(this.#parts, length, offset, digest);
    this.#count++;
  }
}
