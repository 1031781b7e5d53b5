/**
 * Memory for bulk messages, used again when a message has left. Made anew for each, a megabyte at a time, it would wait
 * for the garbage collector: more memory, and more work, than the messages themselves.
 */
import type { DataStream } from "../../proto/rpc.js";

/** Sizes are multiples of this, so that what served one message fits most others. */
const STEP_BYTES = 256 * 1024;
/** Shorter messages are cheaper made anew: a stream has hundreds of them under way. */
const MIN_BYTES = STEP_BYTES / 2;
/** Kept when nobody needs them; a stream has a few messages under way. */
const MAX_KEPT = 12;

export class MessageBuffers {
  readonly #free: Buffer[] = [];

  /** Sends the pieces as one message; they may be changed as soon as this returns. @throws as DataStream.send */
  send(stream: DataStream, pieces: readonly Uint8Array[]): Promise<void> {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length < MIN_BYTES) return stream.send(Buffer.concat(pieces, length));
    const buffer = this.#take(length);
    let at = 0;
    for (const piece of pieces) {
      buffer.set(piece, at);
      at += piece.length;
    }
    return stream.send(buffer.subarray(0, length), () => this.#giveBack(buffer));
  }

  #take(length: number): Buffer {
    const fits = this.#free.findIndex((buffer) => buffer.length >= length);
    if (fits >= 0) return this.#free.splice(fits, 1)[0]!;
    return Buffer.allocUnsafeSlow(Math.ceil(length / STEP_BYTES) * STEP_BYTES);
  }

  #giveBack(buffer: Buffer): void {
    this.#free.push(buffer);
    this.#free.sort((a, b) => a.length - b.length);
    // The smallest makes way: what is large serves all.
    if (this.#free.length > MAX_KEPT) this.#free.shift();
  }
}
