/**
 * Memory for bulk messages, used again when a message has left. Made anew for each, a megabyte at a time, it would wait
 * for the garbage collector: more memory, and more work, than the messages themselves.
 */
import type { DataStream } from "../../proto/rpc.js";

/** Sizes are multiples of this, so that what served one message fits most others. */
const STEP_BYTES = 256 * 1024;
/** Shorter messages get memory of their own, which is freed when they left: a stream has hundreds of them under way. */
const MIN_BYTES = STEP_BYTES / 2;
/** Kept when nobody needs them; a stream has a few messages under way. */
const MAX_KEPT = 12;

/** Memory for one message that is built in place. */
export interface MessageRoom {
  /** At least as long as was asked for. */
  readonly buffer: Buffer;
  /** To be used again when it is no longer needed. */
  readonly kept: boolean;
}

export class MessageBuffers {
  readonly #free: Buffer[] = [];

  /** Room for a message of that length, to be sent by `sendRoom` or given back. */
  room(length: number): MessageRoom {
    if (length < MIN_BYTES) return { buffer: Buffer.allocUnsafeSlow(length), kept: false };
    const fits = this.#free.findIndex((buffer) => buffer.length >= length);
    if (fits >= 0) return { buffer: this.#free.splice(fits, 1)[0]!, kept: true };
    return { buffer: Buffer.allocUnsafeSlow(Math.ceil(length / STEP_BYTES) * STEP_BYTES), kept: true };
  }

  /** Sends `message`, which lies in the room; the room is given back or freed when it has left. @throws as DataStream.send */
  sendRoom(stream: DataStream, room: MessageRoom, message: Buffer): Promise<void> {
    return stream.send(message, () => (room.kept ? this.giveBack(room) : stream.release(room.buffer)));
  }

  giveBack({ buffer, kept }: MessageRoom): void {
    if (!kept) return;
    this.#free.push(buffer);
    this.#free.sort((a, b) => a.length - b.length);
    // The smallest makes way: what is large serves all.
    if (this.#free.length > MAX_KEPT) this.#free.shift();
  }
}
