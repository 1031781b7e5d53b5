/**
 * One line of JSON after the other over a unix socket, as QEMU's monitor and its guest agent speak it. The other end is
 * believed nothing: lines have a limit, every wait has one, and what is not read yet is not taken from the socket.
 */
import { connect, type Socket } from "node:net";
import { BackupError, describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";

/** Longer than any answer: a guest with a thousand file systems lists them in 300 KB. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Begins the answer to `guest-sync-delimited`, and occurs in no text. */
const SENTINEL = 0xff;

export interface JsonLine {
  readonly value: Readonly<Record<string, unknown>>;
  /** The line began with the byte 0xFF. */
  readonly delimited: boolean;
}

/** A line that is no JSON object. */
export const GARBAGE = Symbol("no JSON object");

export class JsonSocket {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #signal: AbortSignal;
  #parts: Buffer[] = [];
  #bytes = 0;
  #open = false;
  #ended: string | undefined;
  #wake: () => void = () => undefined;

  private constructor(path: string, signal: AbortSignal) {
    this.#path = path;
    this.#signal = signal;
    this.#socket = connect({ path });
    this.#socket.once("connect", () => {
      this.#open = true;
      this.#wake();
    });
    this.#socket.on("data", (bytes: Buffer) => {
      this.#socket.pause();
      this.#parts.push(bytes);
      this.#bytes += bytes.length;
      this.#wake();
    });
    this.#socket.pause();
    this.#socket.once("end", () => this.#end("the other end has closed the connection"));
    this.#socket.on("error", (error) => this.#end(describeError(error)));
    this.#socket.once("close", () => this.#end("the connection is closed"));
    signal.addEventListener("abort", this.close, { once: true });
  }

  /** Connects within `limitMs`; the signal closes the connection whenever it comes. @throws BackupError FREEZE_FAILED */
  static async open(path: string, limitMs: number, signal: AbortSignal): Promise<JsonSocket> {
    const opened = new JsonSocket(path, signal);
    try {
      const untilMs = monotonicMs() + limitMs;
      while (!opened.#open) await opened.#wait(untilMs, "connecting");
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Sends an object as one line, after these bytes. */
  send(value: object, before: readonly number[] = []): void {
    this.#socket.write(Buffer.concat([Buffer.from(before), Buffer.from(`${JSON.stringify(value)}\n`)]));
  }

  /** The next line. @param untilMs by `monotonicMs()` @throws BackupError FREEZE_FAILED */
  async next(untilMs: number, what: string): Promise<JsonLine | typeof GARBAGE> {
    for (;;) {
      const line = this.#takeLine();
      if (line !== undefined) return parse(line);
      if (this.#bytes > MAX_LINE_BYTES) throw this.#failed("it sends a line without an end");
      this.#socket.resume();
      await this.#wait(untilMs, what);
    }
  }

  /** Idempotent. */
  readonly close = (): void => {
    this.#signal.removeEventListener("abort", this.close);
    this.#socket.destroy();
    this.#end("the connection is closed");
  };

  #end(why: string): void {
    this.#ended ??= why;
    this.#wake();
  }

  #takeLine(): Buffer | undefined {
    if (!this.#parts.some((part) => part.includes(0x0a))) return undefined;
    const all = Buffer.concat(this.#parts);
    const end = all.indexOf(0x0a);
    this.#parts = [all.subarray(end + 1)];
    this.#bytes = all.length - end - 1;
    return all.subarray(0, end);
  }

  /** Until something has happened. */
  async #wait(untilMs: number, what: string): Promise<void> {
    if (this.#signal.aborted) throw this.#failed("given up");
    if (this.#ended !== undefined) throw this.#failed(this.#ended);
    let timer: NodeJS.Timeout | undefined;
    const late = await new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(true), Math.max(0, untilMs - monotonicMs()));
      this.#wake = () => resolve(false);
    });
    clearTimeout(timer);
    if (late) throw this.#failed(`no answer to ${what} in time`);
  }

  #failed(why: string): BackupError {
    return new BackupError("FREEZE_FAILED", `${this.#path}: ${why.replace(`${this.#path}: `, "")}`);
  }
}

function parse(line: Buffer): JsonLine | typeof GARBAGE {
  const sentinel = line.lastIndexOf(SENTINEL);
  try {
    const value: unknown = JSON.parse(line.subarray(sentinel + 1).toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return GARBAGE;
    return { value: value as Record<string, unknown>, delimited: sentinel >= 0 };
  } catch {
    return GARBAGE;
  }
}
