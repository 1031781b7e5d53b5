/** A console that a program talks to: a command, and what it gives as data. */
import { BackupError } from "../common/errors.js";
import { type ConsoleDirector, loadConsoleConfig } from "./config.js";
import { type Connection, connect, type Session } from "./connection.js";

/** What a command answers under `.api json`. */
export interface Answer {
  readonly ok: boolean;
  readonly error?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly text?: string;
}

export class ProgramConsole {
  readonly #connection: Connection;
  readonly #session: Session;
  #text = "";

  private constructor(connection: Connection) {
    this.#connection = connection;
    const add = async (text: string): Promise<void> => {
      this.#text += text;
    };
    this.#session = connection.session({ text: add, prompt: add, messages: async () => undefined });
  }

  /** With the first director of the configuration, or the one named. @throws BackupError as connect(), CONFIG_INVALID, USAGE */
  static async open(configFile: string, director?: string): Promise<ProgramConsole> {
    const { directors } = loadConsoleConfig(configFile);
    const named = (each: ConsoleDirector): boolean => director === undefined || each.name === director;
    const chosen = directors.find(named);
    if (chosen === undefined)
      throw new BackupError("USAGE", `no Director resource "${director}" in ${configFile}`);
    const console = new ProgramConsole(await connect(chosen));
    await console.ask(".api json");
    return console;
  }

  /**
   * One command at a time; its data. A question that it asks ends it.
   * @throws BackupError DIRECTOR_REFUSED with the director's words, CONNECTION_LOST
   */
  async ask(line: string): Promise<Readonly<Record<string, unknown>>> {
    this.#text = "";
    const turn = await this.#session.submit(line);
    const text = this.#text;
    if (turn === "prompt") {
      await this.#session.abandon();
      throw new BackupError(
        "DIRECTOR_REFUSED",
        `the director asks for more than was said: ${lastLine(text)}`,
      );
    }
    const answer = parse(text);
    if (answer === undefined)
      throw new BackupError("DIRECTOR_REFUSED", `no answer to: ${line}: ${lastLine(text)}`);
    if (!answer.ok)
      throw new BackupError("DIRECTOR_REFUSED", `${line}: ${answer.error ?? lastLine(answer.text ?? "")}`);
    return answer.data ?? {};
  }

  /** Abandons the command that runs; its ask() ends with an error. */
  interrupt(): void {
    this.#session.interrupt();
  }

  close(): void {
    this.#session.end();
    this.#connection.close();
  }
}

/** The last line that is an answer. */
function parse(text: string): Answer | undefined {
  const line = text
    .split("\n")
    .filter((each) => each.startsWith("{"))
    .at(-1);
  try {
    return line === undefined ? undefined : (JSON.parse(line) as Answer);
  } catch {
    return undefined;
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
