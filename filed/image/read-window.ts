/** Reads one planned window of a disk image, in any thread: large reads, zeros told apart, a digest per block. */
import { readSync } from "node:fs";
import { codeOf, describeError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { ByteWriter } from "../../common/format/varint.js";
import { Advice, advise, readThroughCache } from "../../common/sys/files.js";
import type { WindowReply } from "../pack/protocol.js";
import { writePart } from "../pack/read-large.js";
import { changed } from "../pack/read-small.js";
import { isZero } from "../pack/zeros.js";
import { newStat, type StatRecord, statFd } from "../sys/stat.js";
import { DIRECT_BYTES } from "./aligned.js";
import { decodePlan, type WindowPlan } from "./plan.js";

const out = new ByteWriter(64 * 1024);

export interface WindowRequest {
  fd: number;
  /** Opened with O_DIRECT: what is read does not pass through the page cache. */
  direct: boolean;
  blockSize: number;
  plan: Uint8Array;
  /** A file as it was when it was opened; of a device there is nothing to know. */
  before: StatRecord | undefined;
}

const after = newStat();

/** `slot` begins at a multiple of DIRECT_BYTES. The state is `more` or `failed`; `unstable`: the file was written to. */
export function readImageWindow(request: WindowRequest, slot: Buffer): WindowReply {
  const plan = decodePlan(request.plan);
  const cut = new Cutter(slot, request.blockSize);
  try {
    const { end, bytesRead, isCutOff } = readRuns(request, plan, cut, slot);
    const unstable = isCutOff || hasChanged(request);
    const { parts, count } = cut.finish();
    return { state: "more", parts, count, bytesRead, size: end, unstable, direct: request.direct };
  } catch (error) {
    const none = { parts: new Uint8Array(0), count: 0, bytesRead: 0, size: 0, unstable: false };
    return { state: "failed", ...none, error: describeError(error) };
  }
}

/** Each window looks, so that one does after the last byte was read, whichever comes last. @throws SysError */
function hasChanged({ fd, before }: WindowRequest): boolean {
  if (before === undefined) return false;
  statFd(fd, after);
  return changed(before, after);
}

function readRuns(request: WindowRequest, plan: WindowPlan, cut: Cutter, slot: Buffer) {
  let at = plan.at;
  let used = 0;
  let isCutOff = false;
  for (const { gap, length } of plan.runs) {
    cut.zeros(gap);
    at += gap;
    if (length === 0) continue;
    const got = readRun(request, slot, { to: used, length, from: at });
    if (got < length) {
      // Cut off meanwhile: it had so many bytes, and the rest of them are gone.
      isCutOff = true;
      slot.fill(0, used + got, used + length);
    }
    cut.blocks(used, length);
    at += length;
    used += length;
  }
  return { end: at, bytesRead: used, isCutOff };
}

interface Run {
  to: number;
  length: number;
  from: number;
}

/** Bytes that were there. @throws Node's error with a `code` */
function readRun(request: WindowRequest, slot: Buffer, { to, length, from }: Run): number {
  const { fd } = request;
  let got = 0;
  while (got < length) {
    // The end of a file lies within a sector; asking for all of it is what a direct read wants.
    const wanted = request.direct ? Math.ceil((length - got) / DIRECT_BYTES) * DIRECT_BYTES : length - got;
    try {
      const count = readSync(fd, slot, to + got, wanted, from + got);
      if (count === 0) break;
      got += count;
    } catch (error) {
      if (codeOf(error) !== "EINVAL" || !request.direct) throw error;
      request.direct = false;
      readThroughCache(fd);
    }
  }
  // Nobody else may want these pages; kept, they would push out others that somebody wants.
  if (!request.direct) advise(fd, from, length, Advice.dontNeed);
  return Math.min(got, length);
}

class Cutter {
  readonly #slot: Buffer;
  readonly #blockSize: number;
  #zeros = 0;
  #count = 0;

  constructor(slot: Buffer, blockSize: number) {
    this.#slot = slot;
    this.#blockSize = blockSize;
    out.clear();
  }

  zeros(length: number): void {
    this.#zeros += length;
  }

  /** slot[start, start + length) in blocks, the last of which may be shorter. */
  blocks(start: number, length: number): void {
    const slot = this.#slot;
    const end = start + length;
    for (let at = start; at < end; at += this.#blockSize) {
      const to = Math.min(end, at + this.#blockSize);
      if (isZero(slot, at, to)) {
        this.#zeros += to - at;
        continue;
      }
      this.#flush();
      writePart(out, to - at, at, contentDigest(slot.subarray(at, to)));
      this.#count++;
    }
  }

  finish(): { parts: Uint8Array; count: number } {
    this.#flush();
    return { parts: new Uint8Array(out.bytes()), count: this.#count };
  }

  #flush(): void {
    if (this.#zeros === 0) return;
    writePart(out, this.#zeros, -1, undefined);
    this.#count++;
    this.#zeros = 0;
  }
}
