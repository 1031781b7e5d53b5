/** `memory`: how much the director holds. */
import { withCommas } from "../../../common/units.js";
import type { Command } from "../context.js";

export const memory: Command = {
  name: "memory",
  summary: "Show the director's memory use",
  usage: ["memory"],
  keywords: [],
  async run(context) {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    Object.assign(context.data, { rss, heapUsed, heapTotal, external });
    await context.say(
      `Heap: heap=${withCommas(heapTotal)} used=${withCommas(heapUsed)} external=${withCommas(external)} rss=${withCommas(rss)}`,
    );
  },
};
