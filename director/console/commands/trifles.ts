/** Commands of Bacula that are accepted because scripts send them; they change nothing here. */
import type { Command } from "../context.js";

/** `gui on|off` told Bacula to leave out decorations; `.api` does that here. */
export const gui: Command = {
  name: "gui",
  summary: "Accepted, without effect (see .api)",
  usage: ["gui on", "gui off"],
  keywords: ["on", "off"],
  async run() {},
};

/** `var` showed how Bacula expands a label format. */
export const variable: Command = {
  name: "var",
  summary: "Show a label format as it is written",
  usage: ["var TEXT"],
  keywords: [],
  async run(context) {
    await context.say(context.args.list.map((arg) => arg.text).join(" "));
  },
};
