/** `version`: of the director. */
import type { Command } from "../context.js";
import { SOFTWARE_VERSION } from "../version.js";

export const version: Command = {
  name: "version",
  summary: "Show the director's version",
  usage: ["version"],
  keywords: [],
  async run(context) {
    const name = context.config.director.name;
    context.data.name = name;
    context.data.version = SOFTWARE_VERSION;
    await context.say(`${name} Version: ${SOFTWARE_VERSION}`);
  },
};
