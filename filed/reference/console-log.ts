/** What a virtual machine says on its serial console: kept in a file within bounds, its last lines at hand. */
import { type FileHandle, mkdir, open } from "node:fs/promises";
import path from "node:path";
import { BackupError, describeError } from "../../common/errors.js";
import type { BuildTools } from "./programs.js";

/** More is not kept: a machine that is lost repeats itself. */
const MOST_BYTES = 16 * 1024 ** 2;
const TAIL_CHARS = 8192;
/** In the log of a job that failed. */
const SHOWN_LINES = 20;

export class ConsoleLog {
  readonly file: string;
  readonly #handle: FileHandle;
  #bytes = 0;
  #tail = "";
  #panic = false;

  private constructor(file: string, handle: FileHandle) {
    this.file = file;
    this.#handle = handle;
  }

  /** Begins the file anew. @throws BackupError REFERENCE_PLACE */
  static async open(file: string): Promise<ConsoleLog> {
    try {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      return new ConsoleLog(file, await open(file, "w", 0o600));
    } catch (cause) {
      throw new BackupError("REFERENCE_PLACE", `cannot write ${file}: ${describeError(cause)}`);
    }
  }

  readonly take = async (bytes: Buffer): Promise<void> => {
    // What led to a panic is of use; the registers behind it are in the file.
    if (!this.#panic) this.#tail = (this.#tail + bytes.toString("latin1")).slice(-TAIL_CHARS);
    const panic = /Kernel panic - not syncing.*/.exec(this.#tail);
    if (panic !== null) this.#tail = this.#tail.slice(0, panic.index + panic[0].length);
    this.#panic ||= panic !== null;
    const rest = MOST_BYTES - this.#bytes;
    this.#bytes += bytes.length;
    if (rest > 0) await this.#handle.write(bytes.subarray(0, rest));
  };

  /** True when the machine's kernel has given up. */
  get panicked(): boolean {
    return this.#panic;
  }

  /** The last lines, without what moves a terminal's cursor. */
  lastLines(count: number): string[] {
    return this.#tail
      .replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b[()]?./g, "")
      .split(/[\r\n]+/)
      .map((line) => line.replace(/[^\x20-\x7e]+/g, " ").trim())
      .filter((line) => line !== "")
      .slice(-count);
  }

  /** An error about the machine, after its last words were reported. */
  failure(code: string, text: string, { name, report }: Pick<BuildTools, "name" | "report">): BackupError {
    for (const line of this.lastLines(SHOWN_LINES)) report("info", `Reference ${name}: console: ${line}`);
    return new BackupError(code, `reference machine "${name}": ${text} (console: ${this.file})`);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
