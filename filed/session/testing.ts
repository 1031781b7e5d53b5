/** For tests only: storaged's end of a backup stream. */
import type { DataStream } from "../../proto/rpc.js";

/** storaged's end of a stream, without a network. */
export class FakeStream implements DataStream {
  readonly sent: Buffer[] = [];
  readonly #queue: Buffer[] = [];
  readonly #abort = new AbortController();
  #wake: () => void = () => undefined;
  #failure: Error | undefined;
  #ended = false;
  onSend: (message: Buffer) => void = () => undefined;

  readonly signal = this.#abort.signal;
  readonly incoming = this.#read();

  release(): void {}

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const message = this.#queue.shift();
      if (message !== undefined) yield message;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Something from storaged. */
  put(message: Buffer): void {
    this.#queue.push(message);
    this.#wake();
  }

  async send(message: Buffer, onSent?: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const taken = Buffer.from(message);
    this.sent.push(taken);
    this.onSend(taken);
    onSent?.();
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#wake();
  }

  destroy(error = new Error("broken")): void {
    this.#failure = error;
    this.#wake();
  }
}
