/**
 * One console for all that a scenario asks: starting one costs a second of the processor, which is more than most of what
 * is asked.
 */
import { ConsoleSession } from "./console-session.js";

/** Lines go in one call at a time. The owner calls end() before the director goes away. */
export class KeptConsole {
  readonly #configFile: string;
  #session: ConsoleSession | undefined;
  #calls = 0;
  #busy = false;

  constructor(configFile: string) {
    this.#configFile = configFile;
  }

  /** True while a call is answered: a second one at the same time needs a console of its own. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Sends lines and gives what is printed for them. A question that they leave open is abandoned, as at the end of a pipe.
   * @throws Error when the console ends or takes longer than `timeoutMs`; the next call begins with a new one
   */
  async ask(lines: readonly string[], timeoutMs: number): Promise<string> {
    if (this.#session?.ended !== false) this.#session = new ConsoleSession(this.#configFile);
    const session = this.#session;
    const from = session.output.length;
    // A comment: echoed when everything before it is done.
    const mark = `@# call ${++this.#calls}`;
    this.#busy = true;
    try {
      session.send(...lines, mark);
      const { index } = await session.waitFor(new RegExp(`${mark}\n`), { from, timeoutMs });
      const text = session.output.slice(from, from + index);
      if (text === "" || text.endsWith("\n")) return text;
      await session.finish(timeoutMs);
      return session.output.slice(from);
    } catch (error) {
      await this.end();
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  /** Ends the console where it stands. Idempotent. */
  async end(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.kill();
  }
}
