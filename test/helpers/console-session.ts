/** A console that stays open: for timing, and for commands while a job runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { REPOSITORY } from "./root.js";

const END_MS = 60_000;

/** A running `basalt console` whose input is a pipe. Close it when done. */
export class ConsoleSession {
  readonly #child: ChildProcess;
  #output = "";
  #ended = false;
  #wake: () => void = () => undefined;

  /** Starts a console with a configuration file. */
  constructor(configFile: string) {
    this.#child = spawn(join(REPOSITORY, "basalt"), ["console", "-c", configFile], { stdio: "pipe" });
    const take = (data: Buffer): void => {
      this.#output += data.toString("utf8");
      this.#wake();
    };
    this.#child.stdout?.on("data", take);
    this.#child.stderr?.on("data", take);
    this.#child.stdin?.on("error", () => undefined);
    this.#child.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Process id of the console. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** True when it has ended, by itself or not. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Everything printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Sends lines without waiting for what they print. */
  send(...lines: string[]): void {
    this.#child.stdin?.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** Waits until a pattern appears in what is printed from `from` on. Rejects at the console's end or the time limit. */
  async waitFor(
    pattern: RegExp,
    options: { from?: number; timeoutMs?: number } = {},
  ): Promise<RegExpExecArray> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, options.timeoutMs ?? 600_000);
    try {
      for (;;) {
        const match = pattern.exec(this.#output.slice(options.from ?? 0));
        if (match) return match;
        if (late || this.#ended) throw new Error(`the console did not print ${pattern}:\n${this.#output}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends `quit` and waits for the end. */
  async close(): Promise<void> {
    if (!this.#ended) this.send("quit");
    await this.#end(END_MS);
  }

  /** Ends the input, which abandons a question that is open, and waits for the end. */
  async finish(timeoutMs: number): Promise<void> {
    this.#child.stdin?.end();
    await this.#end(timeoutMs);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#end(END_MS);
  }

  /** Waits for the end, and sees to it after the time limit. */
  async #end(timeoutMs: number): Promise<void> {
    if (this.#ended) return;
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    await ended;
    clearTimeout(timer);
  }
}
