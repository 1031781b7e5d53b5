/** `time`: the director's clock. */
import { nowMs, reportTime } from "../../../common/time.js";
import type { Command } from "../context.js";

export const time: Command = {
  name: "time",
  summary: "Show the director's time",
  usage: ["time"],
  keywords: [],
  async run(context) {
    const now = nowMs();
    const day = new Date(now).toLocaleDateString("en-US", { weekday: "short" });
    context.data.timeMs = now;
    await context.say(`${day} ${reportTime(now)}`);
  },
};
