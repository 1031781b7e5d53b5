/**
 * How fast a job may send, changed while it runs: a ReadLimit that is replaced. Messages keep their order, since rows
 * must not overtake the content that they name.
 */
import { ReadLimit } from "./read-limit.js";

export type SendMessage = (message: Buffer, onSent?: () => void) => Promise<void>;

export class Bandwidth {
  #limit: ReadLimit | undefined;
  #change = new AbortController();
  #chain: Promise<void> = Promise.resolve();
  readonly #signal: AbortSignal;

  /** Bytes per second, 0: no limit. Waiting ends with the signal. */
  constructor(bytesPerSec: number, signal: AbortSignal) {
    this.#signal = signal;
    this.set(bytesPerSec);
  }

  /** Who waits under the old limit goes on at once. */
  set(bytesPerSec: number): void {
    const old = this.#change;
    this.#change = new AbortController();
    const signal = AbortSignal.any([this.#change.signal, this.#signal]);
    this.#limit = bytesPerSec > 0 ? new ReadLimit(bytesPerSec, signal) : undefined;
    old.abort();
  }

  /** `send`, behind the messages before and not faster than allowed. @throws what `send` throws, the signal's reason */
  limited(send: SendMessage): SendMessage {
    return (message, onSent) => {
      const turn = this.#chain.then(async () => {
        await this.#pay(message.length);
        await send(message, onSent);
      });
      this.#chain = turn.catch(() => undefined);
      return turn;
    };
  }

  async #pay(bytes: number): Promise<void> {
    const limit = this.#limit;
    if (limit === undefined) return this.#signal.throwIfAborted();
    try {
      await limit.take(bytes);
    } catch (error) {
      this.#signal.throwIfAborted();
      // The limit was replaced meanwhile.
      if (this.#limit === limit) throw error;
    }
  }
}
