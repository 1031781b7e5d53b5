/** A data stream inside one process: what two parts of a daemon say to each other as if over a connection. */

import { BackupError } from "../../common/errors.js";
import type { DataStream } from "../../proto/rpc.js";

/** Bytes on their way before `send` makes its caller wait. */
const OUTSTANDING_BYTES = 4 * 1024 * 1024;

class End implements DataStream {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly incoming: AsyncIterable<Buffer> = this.#read();
  other!: End;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #ended = false;
  #wakeReader: () => void = () => undefined;
  readonly #senders: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  send(message: Buffer, onSent?: () => void): Promise<void> {
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    const taken = this.other.#take(onSent === undefined ? message : Buffer.from(message));
    onSent?.();
    return taken;
  }

  /** The memory is still the sender's too. */
  release(): void {}

  async end(): Promise<void> {
    this.other.#ended = true;
    this.other.#wakeReader();
  }

  destroy(error: Error = new BackupError("CONNECTION_LOST", "the connection was given up")): void {
    this.#break(error);
    this.other.#break(new BackupError("CONNECTION_LOST", "the connection is closed"));
  }

  #break(error: Error): void {
    if (this.signal.aborted) return;
    this.#controller.abort(error);
    for (const { reject } of this.#senders.splice(0)) reject(error);
    this.#wakeReader();
  }

  #take(message: Buffer): Promise<void> {
    this.#queue.push(message);
    this.#queuedBytes += message.length;
    this.#wakeReader();
    if (this.#queuedBytes < OUTSTANDING_BYTES) return Promise.resolve();
    return new Promise((resolve, reject) => this.#senders.push({ resolve, reject }));
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#queuedBytes -= message.length;
        if (this.#queuedBytes < OUTSTANDING_BYTES)
          for (const { resolve } of this.#senders.splice(0)) resolve();
        yield message;
      } else if (this.#ended) return;
      else if (this.signal.aborted) throw this.signal.reason;
      else
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
    }
  }
}

/** Two ends of one stream. Messages are handed over, not copied: a sender does not change them afterwards. */
export function innerStreams(): [DataStream, DataStream] {
  const [a, b] = [new End(), new End()];
  a.other = b;
  b.other = a;
  return [a, b];
}
