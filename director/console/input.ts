/** Lines of a console that wait to be read, as commands or as answers. */
import { BackupError } from "../../common/errors.js";

/** A console sends its next line when it was asked to; only a broken one piles them up. */
const MAX_WAITING_LINES = 10_000;
const MAX_LINE_CHARS = 1024 * 1024;

export class InputLines {
  readonly #lines: string[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  /** @throws BackupError CONSOLE_FLOODED when too many lines wait, or for one that nobody types */
  push(line: string): void {
    if (line.length > MAX_LINE_CHARS)
      throw new BackupError("CONSOLE_FLOODED", "a line of more than 1 MiB is no command");
    if (this.#lines.length >= MAX_WAITING_LINES) {
      throw new BackupError("CONSOLE_FLOODED", "the console sends lines without waiting for answers");
    }
    this.#lines.push(line);
    this.#wake?.();
  }

  /** Forgets lines that nobody has read. */
  clear(): void {
    this.#lines.length = 0;
  }

  /** No more lines will come; those that wait are still read. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** The next line; undefined at the end of input, or when the signal is aborted first. One reader at a time. */
  async next(signal?: AbortSignal): Promise<string | undefined> {
    for (;;) {
      if (signal?.aborted) return undefined;
      if (this.#lines.length > 0) return this.#lines.shift();
      if (this.#closed) return undefined;
      let stop: (() => void) | undefined;
      await new Promise<void>((resolve) => {
        stop = () => resolve();
        this.#wake = stop;
        signal?.addEventListener("abort", stop, { once: true });
      });
      signal?.removeEventListener("abort", stop!);
      this.#wake = undefined;
    }
  }
}
