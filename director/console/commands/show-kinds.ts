/** Kinds of resource that `show` knows and few ask for. */
import { type CommandContext, catalogName } from "../context.js";

/** What is shown of a resource, by name. */
export type Values = Record<string, string | number | boolean | undefined>;

export interface Kind {
  words: readonly string[];
  title: string;
  /** Resources this console may see, with what is printed of them. */
  list(context: CommandContext): [name: string, values: Values][];
}

export const MORE_KINDS: readonly Kind[] = [
  {
    words: ["catalogs", "catalog"],
    title: "Catalog",
    list: (context) => {
      const name = catalogName(context.whole);
      return context.acl.allows("catalog", name) ? [[name, { in: "the storage daemons" }]] : [];
    },
  },
  {
    words: ["counters", "counter"],
    title: "Counter",
    list: ({ config }) =>
      [...(config.counters?.values() ?? [])].map(({ name, minimum, maximum, wrapCounter }) => [
        name,
        { min: minimum, max: maximum, WrapCounter: wrapCounter },
      ]),
  },
  {
    words: ["consoles", "console"],
    title: "Console",
    // Which others there are, and what they may do, is for those who may do all of it.
    list: ({ whole, acl, console }) =>
      [...whole.config.consoles.values()]
        .filter(({ name }) => acl.unrestricted || name === console)
        .map(({ name, commandAcl }) => [name, { CommandACL: commandAcl.join(",") }]),
  },
  // No figures are collected: `statistics` shows those of the moment.
  { words: ["statistics"], title: "Statistics", list: () => [] },
];
