/** `quit`, `exit`: end the session. */
import type { Command } from "../context.js";

function ending(name: string): Command {
  return {
    name,
    summary: "End the session",
    usage: [name],
    keywords: [],
    run: async (context) => {
      context.state.ended = true;
    },
  };
}

export const quit = ending("quit");
export const exit = ending("exit");
