/** The console with standard input that is no terminal: every line is echoed, no prompt of its own. */
import { runAtCommand } from "./at-commands.js";
import type { Connection, Turn } from "./connection.js";
import type { LineSource } from "./line-source.js";
import type { ConsoleOutput } from "./output.js";

export interface PipedOptions {
  connection: Connection;
  lines: LineSource;
  output: ConsoleOutput;
  /** (Default: true) */
  echo?: boolean;
}

/** Runs until `quit` or the end of input. @throws BackupError when the connection is lost */
export async function runPiped(options: PipedOptions): Promise<void> {
  const { connection, lines, output } = options;
  const session = connection.session({
    text: (text) => output.write(text),
    prompt: (text) => output.write(text),
    messages: async () => (options.echo === false ? undefined : output.write("You have messages.\n")),
  });
  const signal = new AbortController().signal;
  let turn: Turn = "ready";
  try {
    while (turn !== "quit") {
      const line = await lines.next();
      if (line === undefined) break;
      if (options.echo !== false) await output.echo(`${line}\n`);
      if (line.startsWith("@")) {
        const free = turn === "ready" ? session : undefined;
        if (await runAtCommand({ output, lines, signal, session: free }, line)) break;
      } else if (line.trim() !== "" || turn === "prompt") {
        turn = await session.submit(line);
      }
    }
    // A question left open is abandoned, so that `quit` is a command and no answer.
    if (turn === "prompt") turn = await session.abandon();
    if (turn !== "quit") await session.submit("quit");
  } finally {
    session.end();
  }
}
