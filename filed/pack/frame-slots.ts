/**
 * Worker side: the shared memory in which finished frames wait to be sent. A frame that were moved to the main thread in
 * memory of its own would be garbage there after a moment, a gigabyte of it per backed-up gigabyte.
 */

export class FrameSlots {
  readonly #slots: readonly Buffer[];
  readonly #free: number[];
  #waiter: (() => void) | undefined;

  constructor(memory: readonly SharedArrayBuffer[]) {
    this.#slots = memory.map((slot) => Buffer.from(slot));
    this.#free = [...memory.keys()];
  }

  /** A slot that nobody reads any more, as soon as there is one. One caller at a time. */
  async take(): Promise<{ slot: number; bytes: Buffer }> {
    while (this.#free.length === 0) await new Promise<void>((resolve) => (this.#waiter = resolve));
    const slot = this.#free.pop()!;
    return { slot, bytes: this.#slots[slot]! };
  }

  giveBack(slot: number): void {
    this.#free.push(slot);
    this.#waiter?.();
    this.#waiter = undefined;
  }
}
