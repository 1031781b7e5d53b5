/** How far a comparison is, for whoever waits at a console. */

import { nowMs } from "../../../common/time.js";
import { withCommas } from "../../../common/units.js";
import type { CommandContext } from "../context.js";

/** Longest comparison, of hundreds of large machines. */
export const COMPARE_MS = 24 * 3_600_000;
/** Time between two lines. */
const PAUSE_MS = 2000;

export class ProgressLines {
  readonly #context: CommandContext;
  #entries = 0;
  #toldMs = nowMs();

  constructor(context: CommandContext) {
    this.#context = context;
  }

  async tell({ name, entries }: { name: string; entries: number }): Promise<void> {
    this.#entries += entries;
    // An answer that a program reads has no such lines in it.
    if (nowMs() - this.#toldMs < PAUSE_MS || this.#context.state.json || this.#context.args.has("json"))
      return;
    this.#toldMs = nowMs();
    await this.#context.say(`  ${name}: ${withCommas(this.#entries)} entries looked at so far`);
  }
}
