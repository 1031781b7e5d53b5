/**
 * Memory of bulk messages, given back when they have served. Left to the garbage collector a megabyte per message piles up
 * until the next collection, which comes the sooner for it.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";

/** Smaller memory is shared by several buffers (Node's pool, what was read from a socket), and cheap to collect. */
const MIN_BYTES = 16 * 1024;
/** gRPC's head of a message lies before it in the same memory. */
const HEAD_BYTES = 5;

let nowhere: MessagePort | undefined;

/**
 * Frees the memory of `message` at once; it and all its parts are empty from then on. Does nothing with a message that is
 * short or a part of something larger.
 */
export function releaseMemory({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  if (buffer.byteLength < MIN_BYTES || buffer.byteLength > byteLength + HEAD_BYTES) return;
  nowhere ??= closedPort();
  nowhere.postMessage(undefined, [buffer]);
}

/** What is moved to a port whose other end is closed is let go (HTML, "message port post message steps"). */
function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  port2.close();
  return port1;
}

/**
 * A message on its way into the buffer in which grpc-js sends it: that one can be released when it has left. Stands in for
 * a Buffer where grpc-js frames the messages of a server. Only for connections with TLS, which takes a copy of what it is
 * given: a plain socket might still look into the buffer of a stream that was broken off.
 */
export class Outgoing {
  readonly byteLength: number;
  readonly #message: Buffer;
  #framed: Buffer | undefined;

  constructor(message: Buffer) {
    this.#message = message;
    this.byteLength = message.byteLength;
  }

  /** @throws when the message was released before it was sent, instead of sending what lies in `framed` */
  copy(framed: Buffer, at: number): number {
    const copied = this.#message.copy(framed, at);
    if (copied !== this.byteLength) throw new Error("a message was released before it was sent");
    this.#framed = framed;
    return copied;
  }

  /** grpc-js has no more use for it. */
  left(): void {
    if (this.#framed !== undefined) releaseMemory(this.#framed);
  }
}
