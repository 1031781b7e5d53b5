/** `autodisplay on|off`: show messages after each command instead of announcing them. */
import type { Command } from "../context.js";

export const autodisplay: Command = {
  name: "autodisplay",
  summary: "Show messages by themselves: on, off",
  usage: ["autodisplay on", "autodisplay off"],
  keywords: ["on", "off"],
  async run(context) {
    const word = context.args.list[0]?.key;
    if (word !== "on" && word !== "off") {
      return void (await context.fail('autodisplay takes one of these: "on", "off"'));
    }
    context.state.autodisplay = word === "on";
    context.data.autodisplay = context.state.autodisplay;
  },
};
