/** Differences on their way to the director: all are counted, a bounded number is named. */

import type { MessageType, Reporter } from "./reporter.js";

/** Entries named one by one. */
const MAX_NAMED = 2000;

export class Differences {
  readonly #reporter: Reporter;
  readonly #type: MessageType;
  count = 0;

  constructor(reporter: Reporter, type: MessageType) {
    this.#reporter = reporter;
    this.#type = type;
  }

  async tell(text: string): Promise<void> {
    if (++this.count > MAX_NAMED) return;
    // Handed over in one go: lines about one file stay together.
    const [head, ...rest] = text.split("\n");
    const sent = [this.#reporter.message(this.#type, head!)];
    for (const line of rest) sent.push(this.#reporter.message("info", line));
    await Promise.all(sent);
  }

  /** How many were not named. */
  async end(): Promise<void> {
    if (this.count > MAX_NAMED)
      await this.#reporter.message(this.#type, `${this.count - MAX_NAMED} more differences are left out`);
  }
}
