/** One command of the console for another program: its structured answer. */

import { BackupError } from "../common/errors.js";
import { type ConsoleDirector, loadConsoleConfig } from "./config.js";
import { connect } from "./connection.js";
import { pickDirector } from "./main.js";

/** What the director answers in JSON mode. */
interface Answer {
  ok: boolean;
  error?: string;
  data?: unknown;
  text?: string;
}

export interface AskOptions {
  configFile: string;
  /** Name of the Director resource. (Default: the first) */
  director?: string | undefined;
  /** Abandons the command. */
  signal: AbortSignal;
}

/**
 * Runs one line, which must not ask anything, and gives the data of its answer.
 * @throws BackupError COMMAND_FAILED with the director's words; INTERRUPTED; CONFIG_INVALID, PEER_UNAVAILABLE, …
 */
export async function askDirector(options: AskOptions, line: string): Promise<unknown> {
  const config = loadConsoleConfig(options.configFile);
  const director: ConsoleDirector = pickDirector(config, options.director);
  const connection = await connect(director);
  let text = "";
  const session = connection.session({
    text: async (more) => {
      text += more;
    },
    prompt: async () => undefined,
    messages: async () => undefined,
  });
  const interrupt = (): void => session.interrupt();
  try {
    await session.submit(".api json");
    dataOf(text);
    text = "";
    options.signal.throwIfAborted();
    options.signal.addEventListener("abort", interrupt, { once: true });
    const turn = await session.submit(line);
    if (options.signal.aborted) throw new BackupError("INTERRUPTED", "interrupted");
    if (turn !== "ready") throw new BackupError("COMMAND_FAILED", `the director asks: ${text.trim()}`);
    return dataOf(text);
  } finally {
    options.signal.removeEventListener("abort", interrupt);
    session.end();
    connection.close();
  }
}

function dataOf(text: string): unknown {
  let answer: Answer;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    // Plain words: JSON is not allowed for this console.
    throw new BackupError("COMMAND_FAILED", `the director answers: ${text.trim()}`);
  }
  if (!answer.ok) throw new BackupError("COMMAND_FAILED", answer.error ?? "the director does not say why");
  return answer.data;
}
