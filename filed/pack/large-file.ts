/**
 * One large file on the main thread: its windows in order, and the parts list that is sent as far as the chunks
 * before it were.
 */
import {
  encodePart,
  PART_BYTES,
  PartsIdentity,
  ZERO_DIGEST,
  ZERO_MAX_BYTES,
} from "../../common/format/content.js";
import { ByteReader, ByteWriter } from "../../common/format/varint.js";
import { encodeParts, MAX_PARTS_PER_SEGMENT } from "../../proto/data/backup.js";
import type { Pending } from "./batch.js";
import type { WindowReply } from "./protocol.js";
import { readPart, type WindowPart } from "./read-large.js";
import type { PackThread, Threads } from "./threads.js";

export interface Window {
  parts: WindowPart[];
  /** Undefined while it is being read. */
  reply: WindowReply | undefined;
  /** All its unknown chunks were sent. */
  sent: boolean;
}

/** Digests of a window's chunks, each once, and where to find them. */
export function chunksOf(window: Window): { digests: Buffer; chunks: WindowPart[] } {
  const seen = new Set<string>();
  const chunks = window.parts.filter(({ digest }) => {
    if (digest === undefined) return false;
    const text = digest.latin1Slice();
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
  return { digests: Buffer.concat(chunks.map(({ digest }) => digest!)), chunks };
}

/** Chunks as a packChunks unit carries them. */
export function encodeChunks(chunks: readonly WindowPart[]): Uint8Array {
  const out = new ByteWriter(chunks.length * 48 + 16);
  for (const { offset, length, digest } of chunks) {
    out.uint(offset);
    out.uint(length);
    out.raw(digest!);
  }
  return new Uint8Array(out.bytes());
}

export class LargeFile {
  readonly pending: Pending;
  readonly thread: PackThread;
  readonly id: number;
  /** Do not answer `small`. */
  readonly force: boolean;
  /** Number of the content in the stream, given with its first parts. */
  readonly sequence: number;
  opened = false;
  /** A window is being read, or many of a disk image. */
  reading = false;
  /** No further window is to be read. */
  ended = false;
  readonly #windows: Window[] = [];
  readonly #send: (message: Buffer) => Promise<void>;
  readonly #identity = new PartsIdentity();
  #segment = Buffer.allocUnsafe(256 * PART_BYTES);
  #segmentParts = 0;
  #zeros = 0;
  #bytesRead = 0;
  #content: Buffer | undefined;
  #advancing: Promise<unknown> = Promise.resolve();

  constructor(
    pending: Pending,
    options: {
      thread: PackThread;
      id: number;
      force: boolean;
      sequence: number;
      send: (message: Buffer) => Promise<void>;
    },
  ) {
    this.pending = pending;
    this.thread = options.thread;
    this.id = options.id;
    this.force = options.force;
    this.sequence = options.sequence;
    this.#send = options.send;
  }

  /** The thread that reads its next window now; undefined when there is none. */
  readerOf(threads: Threads): PackThread | undefined {
    const isReady = !this.reading && !this.ended && threads.takesRead(this.thread);
    return isReady ? this.thread : undefined;
  }

  /** The next window's place among the others. */
  reserve(): Window {
    const window: Window = { parts: [], reply: undefined, sent: false };
    this.#windows.push(window);
    return window;
  }

  fill(window: Window, reply: WindowReply): void {
    const { parts } = reply;
    const reader = new ByteReader(Buffer.from(parts.buffer, parts.byteOffset, parts.length));
    for (let i = 0; i < reply.count; i++) window.parts.push(readPart(reader));
    window.reply = reply;
    this.#bytesRead += reply.bytesRead;
    if (reply.state !== "more") this.ended = true;
  }

  /** The pool has ended: nothing will be read any more. */
  dispose(): void {
    if (!this.opened) this.pending.release();
  }

  /** Sends parts as far as windows were sent, in order. True when with this the file is done and its owner told. */
  advance(): Promise<boolean> {
    // One at a time: segments of one content must not overtake each other.
    const run = this.#advancing.then(() => this.#advance());
    this.#advancing = run;
    return run;
  }

  async #advance(): Promise<boolean> {
    while (this.#windows[0]?.sent === true) {
      const window = this.#windows.shift()!;
      const { parts } = window;
      const reply = window.reply!;
      const messages: Buffer[] = [];
      for (const part of parts) this.#addPart(part, messages);
      if (reply.state !== "more") this.#finish(reply, messages);
      for (const message of messages) await this.#send(message);
      if (reply.state !== "more") {
        this.#tell(reply);
        return true;
      }
    }
    return false;
  }

  #addPart({ length, digest }: WindowPart, messages: Buffer[]): void {
    if (digest === undefined) {
      this.#zeros += length;
      return;
    }
    this.#addZeros(messages);
    this.#put(length, digest, messages);
  }

  /** Zeros of any length that came one after the other become as few parts as the format allows. */
  #addZeros(messages: Buffer[]): void {
    while (this.#zeros > 0) {
      const length = Math.min(this.#zeros, ZERO_MAX_BYTES);
      this.#put(length, ZERO_DIGEST, messages);
      this.#zeros -= length;
    }
  }

  #put(length: number, digest: Buffer, messages: Buffer[]): void {
    const at = this.#segmentParts * PART_BYTES;
    if (at === this.#segment.length) {
      const grown = Buffer.allocUnsafe(at * 2);
      this.#segment.copy(grown);
      this.#segment = grown;
    }
    encodePart(this.#segment, at, length, digest);
    this.#segmentParts++;
    if (this.#segmentParts < MAX_PARTS_PER_SEGMENT) return;
    messages.push(encodeParts({ sequence: this.sequence, parts: this.#takeSegment() }));
  }

  #takeSegment(): Buffer {
    const parts = this.#segment.subarray(0, this.#segmentParts * PART_BYTES);
    this.#identity.add(parts);
    this.#segmentParts = 0;
    return parts;
  }

  #finish(reply: WindowReply, messages: Buffer[]): void {
    if (reply.state !== "end" || reply.size === 0) return;
    this.#addZeros(messages);
    const parts = this.#takeSegment();
    this.#content = this.#identity.digest();
    const last = { size: reply.size, identity: this.#content };
    messages.push(encodeParts({ sequence: this.sequence, parts, last }));
  }

  #tell(reply: WindowReply): void {
    const { state, size, unstable } = reply;
    const base = { parts: true, size, unstable, bytesRead: this.#bytesRead };
    if (state === "vanished" || state === "failed") {
      this.pending.onDone({ ...base, kind: state, error: reply.error ?? "vanished before it was read" });
    } else if (this.#content === undefined) this.pending.onDone({ ...base, parts: false, kind: "ok" });
    else this.pending.onDone({ ...base, kind: "ok", content: this.#content });
  }
}
