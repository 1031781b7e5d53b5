/** `messages`: shows and removes what waits for this console. */
import type { Command } from "../context.js";
import type { ConsoleDirector } from "../port.js";

/** Waiting messages, oldest first, each with its line end, removed from the box as they are yielded. */
export function* takeMessages(director: ConsoleDirector, console: string): Generator<string> {
  // A batch may hold nothing that this console may see: what counts is what still waits.
  while (director.messages.pending(console) > 0) {
    // A report ends its last line itself: an empty one follows it, as in Bacula.
    for (const text of director.messages.take(console)) yield `${text}\n`;
  }
}

export const messages: Command = {
  name: "messages",
  summary: "Show and remove the messages that wait",
  usage: ["messages"],
  keywords: [],
  async run(context) {
    const lines: string[] = [];
    let any = false;
    for (const text of takeMessages(context.director, context.console)) {
      any = true;
      if (context.state.json) lines.push(text);
      else await context.print(text);
    }
    context.data.messages = lines;
    if (!any) await context.say("You have no messages.");
  },
};
