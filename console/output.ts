/**
 * Where the console prints: standard output, a file (`@output`), or both (`@tee`, `@tall`).
 * Files are written at once, so that a command started by `@exec` sees what was printed before it.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";
import { BackupError } from "../common/errors.js";

/** output: to the file alone; tee: to both, the echo of input not to the file; tall: all to both. */
export type OutputMode = "output" | "tee" | "tall";

export class ConsoleOutput {
  readonly #screen: Writable;
  #file: { fd: number; mode: OutputMode } | undefined;
  #broken = false;

  /** Output to `screen` that nobody reads any more is dropped. */
  constructor(screen: Writable) {
    this.#screen = screen;
    screen.on("error", () => {
      this.#broken = true;
    });
  }

  /** True while everything goes to a file. */
  get redirected(): boolean {
    return this.#file?.mode === "output";
  }

  /** Sends what follows to `file`, created or emptied; without one back to the screen. @throws BackupError */
  redirect(mode: OutputMode, file?: string): void {
    this.close();
    if (file === undefined) return;
    try {
      this.#file = { fd: openSync(file, "w"), mode };
    } catch (cause) {
      throw new BackupError("OUTPUT_FILE", `Cannot open file ${file} for output`, { cause });
    }
  }

  /** Closes the file; the screen stays. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** Prints; resolves when there is room for more. */
  async write(text: string): Promise<void> {
    if (text === "") return;
    if (this.#file !== undefined) writeAll(this.#file.fd, text);
    if (this.#file?.mode !== "output") await this.#toScreen(text);
  }

  /** Repeats a line of input. */
  async echo(text: string): Promise<void> {
    if (this.#file !== undefined && this.#file.mode !== "tee") writeAll(this.#file.fd, text);
    if (this.#file?.mode !== "output") await this.#toScreen(text);
  }

  /** Resolves when the screen has taken everything. */
  flush(): Promise<void> {
    if (this.#broken) return Promise.resolve();
    return new Promise((resolve) => this.#screen.write("", () => resolve()));
  }

  async #toScreen(text: string): Promise<void> {
    if (this.#broken || this.#screen.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#screen.off("drain", done);
        this.#screen.off("error", done);
        this.#screen.off("close", done);
        resolve();
      };
      this.#screen.once("drain", done);
      this.#screen.once("error", done);
      this.#screen.once("close", done);
    });
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
