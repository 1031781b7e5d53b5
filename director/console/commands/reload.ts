/** `reload`: read the configuration again; what is wrong is told, and the old one stays. */
import type { Command } from "../context.js";

export const reload: Command = {
  name: "reload",
  summary: "Read the configuration again",
  usage: ["reload"],
  keywords: [],
  async run(context) {
    const result = await context.director.reload();
    context.data.ok = result.ok;
    context.data.errors = result.errors;
    if (result.ok) return;
    for (const line of result.errors) await context.say(line);
    await context.fail(
      `Please correct the configuration file ${context.config.file}. The old configuration stays in force.`,
    );
  },
};
