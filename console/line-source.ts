/** Input lines: from standard input, from files that `@input` names, and cut at the separator. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { BackupError } from "../common/errors.js";

/** Files that include each other end here. */
const MAX_NESTING = 100;

export class LineSource {
  /** Set by `@separator`: cuts lines into several commands; @-commands are taken whole. */
  separator: string | undefined;
  readonly #sources: AsyncIterator<string>[] = [];
  #waiting: string[] = [];

  constructor(input: AsyncIterable<string>) {
    this.#sources.push(input[Symbol.asyncIterator]());
  }

  /** Reads `file` before anything else. @throws BackupError INPUT_FILE */
  include(file: string): void {
    if (!existsSync(file) || statSync(file).isDirectory()) {
      throw new BackupError("INPUT_FILE", `Cannot open file ${file} for input: no such file`);
    }
    if (this.#sources.length > MAX_NESTING)
      throw new BackupError("INPUT_FILE", `${file}: too many nested @input`);
    this.#sources.push(linesOf(createReadStream(file))[Symbol.asyncIterator]());
  }

  /** The next line; undefined at the end of everything. */
  async next(): Promise<string | undefined> {
    const ready = this.#waiting.shift();
    if (ready !== undefined) return ready;
    for (;;) {
      const source = this.#sources.at(-1);
      if (source === undefined) return undefined;
      const { value, done } = await source.next();
      if (done === true) {
        this.#sources.pop();
        continue;
      }
      return this.#cut(value);
    }
  }

  #cut(line: string): string {
    if (this.separator === undefined || line.startsWith("@") || !line.includes(this.separator)) return line;
    const [first, ...rest] = line.split(this.separator).map((part) => part.trim());
    this.#waiting = rest;
    return first!;
  }
}

/** Lines of a stream, without their ends. */
export function linesOf(input: Readable): AsyncIterable<string> {
  return createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
}
