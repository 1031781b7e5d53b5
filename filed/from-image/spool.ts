/** List blocks that wait for their turn, in a file: forwards, or the last one first. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";

export class Spool {
  readonly #fd: number;
  /** Where each block begins; its end is where the next one does. */
  readonly #starts: number[] = [0];

  /** @throws the system's error */
  constructor(file: string) {
    this.#fd = openSync(file, "wx+", 0o600);
  }

  /** @throws the system's error */
  add(block: Buffer): void {
    const start = this.#starts.at(-1)!;
    for (let done = 0; done < block.length; )
      done += writeSync(this.#fd, block, done, block.length - done, start + done);
    this.#starts.push(start + block.length);
  }

  *blocks(order: "first" | "last"): Generator<Buffer> {
    const count = this.#starts.length - 1;
    for (let i = 0; i < count; i++) {
      const number = order === "first" ? i : count - 1 - i;
      const start = this.#starts[number]!;
      const block = Buffer.alloc(this.#starts[number + 1]! - start);
      readSync(this.#fd, block, 0, block.length, start);
      yield block;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
