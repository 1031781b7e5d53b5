/** `setip`: the client of the console's own name is where the console is; for clients whose address changes. */
import type { Command } from "../context.js";

export const setip: Command = {
  name: "setip",
  summary: "Set the address of the client of this console's name to where the console is",
  usage: ["setip"],
  keywords: [],
  async run(context) {
    const name = context.console;
    if (!context.whole.config.consoles.has(name) || !context.acl.allowsClient(name))
      return void (await context.fail("Unauthorized command from this console."));
    if (!context.config.clients.has(name)) return void (await context.fail(`Client "${name}" not found.`));
    if (context.address === "")
      return void (await context.fail("It is not known from where this console calls."));
    context.director.setAddress(name, context.address);
    context.data.client = name;
    context.data.address = context.address;
    await context.say(`Client "${name}" address set to ${context.address}`);
  },
};
