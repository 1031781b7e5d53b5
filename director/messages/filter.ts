/** Which messages a destination takes. */

import type { MessageDestination, MessagesResource } from "../config/types-messages.js";
import type { MessageType } from "./types.js";

/**
 * Read from left to right as Bacula does: `all` and a name add, `!name` takes away; the last one that fits counts.
 * `audit` comes with its own name only: one line for each command would drown everything else.
 */
export function accepts(types: readonly string[], type: MessageType): boolean {
  let taken = false;
  for (const entry of types) {
    const word = entry.trim().toLowerCase();
    const excluded = word.startsWith("!");
    const name = excluded ? word.slice(1).trim() : word;
    if ((name === "all" && type !== "audit") || name === type) taken = !excluded;
  }
  return taken;
}

const DEFAULT_TYPES = ["all", "!skipped", "!saved", "!restored"];

/** For jobs without a Messages resource: nothing that matters may get lost. */
export const DEFAULT_MESSAGES: MessagesResource = {
  name: "(default)",
  destinations: [
    { kind: "console", types: DEFAULT_TYPES },
    { kind: "catalog", types: DEFAULT_TYPES },
  ],
};

/** Destinations of a resource that take this type. */
export function destinationsFor(messages: MessagesResource, type: MessageType): MessageDestination[] {
  return messages.destinations.filter((destination) => accepts(destination.types, type));
}
