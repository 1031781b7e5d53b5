/** `help [COMMAND]`. */
import { COMMANDS } from "../commands.js";
import type { Command } from "../context.js";
import { findByPrefix } from "../grammar.js";

export const help: Command = {
  name: "help",
  summary: "Show the commands, or how to use one",
  usage: ["help", "help COMMAND"],
  keywords: [],
  async run(context) {
    const word = context.args.list[0]?.text;
    if (word !== undefined) return await one(word);
    await context.say("  Command       Description\n  =======       ===========");
    for (const { name, summary } of shown()) await context.say(`  ${name.padEnd(13)} ${summary}`);
    await context.say(
      "\nhelp COMMAND shows how a command is used. Lines that begin with @ are the console's own: @help.\n",
    );
    context.data.commands = shown().map(({ name, summary }) => ({ name, summary }));

    function shown(): Command[] {
      return COMMANDS.filter((command) => context.acl.allows("command", command.name));
    }

    async function one(name: string): Promise<void> {
      const command = findByPrefix(shown(), name);
      if (command === undefined) return void (await context.fail(`${name}: is an invalid command.`));
      await context.say(`  ${command.name}: ${command.summary}`);
      for (const usage of command.usage) await context.say(`    ${usage}`);
      context.data.command = {
        name: command.name,
        summary: command.summary,
        usage: [...command.usage],
        keywords: [...command.keywords],
      };
    }
  },
};
