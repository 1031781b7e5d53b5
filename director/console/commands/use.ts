/** `use`: the catalog in use; there is one per director. */
import { type Command, catalogName } from "../context.js";

export const use: Command = {
  name: "use",
  summary: "Show the catalog in use",
  usage: ["use", "use catalog=NAME"],
  keywords: ["catalog="],
  async run(context) {
    const name = catalogName(context.whole);
    const wanted = context.args.value("catalog") ?? context.args.bare()[0];
    if (wanted !== undefined && wanted !== name) await context.fail(`Catalog "${wanted}" not found`);
    context.require("catalog", name, "Catalog");
    context.data.catalog = name;
    if (!context.state.catalogShown) await context.useCatalog();
    else await context.say(`Using Catalog "${name}"`);
  },
};
