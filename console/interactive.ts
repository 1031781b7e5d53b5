/** The console on a terminal: `*` prompt, history, completion, Ctrl-C, and a line that follows running jobs. */
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { runAtCommand } from "./at-commands.js";
import type { Connection, Session, Turn } from "./connection.js";
import { HISTORY_LINES, historyFile, loadHistory, saveHistory } from "./history.js";
import { LineSource } from "./line-source.js";
import type { ConsoleOutput } from "./output.js";
import { StatusLine } from "./status-line.js";

export interface InteractiveOptions {
  connection: Connection;
  output: ConsoleOutput;
  stdin: Readable;
  stdout: Writable & { columns?: number };
}

/** Runs until `quit` or Ctrl-D. @throws BackupError when the connection is lost */
export async function runInteractive(options: InteractiveOptions): Promise<void> {
  await new Repl(options).run();
}

class Repl {
  readonly #options: InteractiveOptions;
  readonly #readline: Interface & { history?: string[] };
  readonly #session: Session;
  readonly #status: StatusLine;
  readonly #historyFile = historyFile();
  #prompt = "*";
  #turn: Turn = "ready";
  /** True while a line is being typed. */
  #typing = false;
  #entered: ((line: string | undefined) => void) | undefined;
  /** Lines that were entered while a command ran; undefined: the end of input. */
  #ahead: (string | undefined)[] = [];
  #local = new AbortController();
  /** A question given up by Ctrl-C: its command must have ended before the next line is sent. */
  #abandoned: Promise<Turn> | undefined;

  constructor(options: InteractiveOptions) {
    this.#options = options;
    const colour = (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb";
    this.#status = new StatusLine(options.stdout, colour);
    this.#readline = createInterface({
      input: options.stdin,
      output: options.stdout,
      terminal: true,
      history: loadHistory(this.#historyFile),
      historySize: HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: Error | null, result: [string[], string]) => void) =>
        this.#complete(line, done),
    });
    this.#session = options.connection.session({
      text: (text) => this.#print(text),
      prompt: async (text) => this.#takePrompt(text),
      messages: () => this.#print("You have messages.\n"),
      running: (running) => this.#status.update(running.jobs, this.#typing ? this.#readline : undefined),
    });
    this.#readline.on("SIGINT", () => this.#interrupt());
    this.#readline.on("line", (line) => this.#enter(line));
    this.#readline.on("close", () => this.#enter(undefined));
  }

  async run(): Promise<void> {
    const { output } = this.#options;
    const lines = new LineSource(this.#typedLines());
    this.#session.watch(true);
    try {
      while (this.#turn !== "quit") {
        const line = await lines.next();
        if (line === undefined) break;
        if (output.redirected) await output.echo(`${line}\n`);
        if (line.startsWith("@")) {
          this.#local = new AbortController();
          const session = this.#turn === "ready" ? this.#session : undefined;
          if (await runAtCommand({ output, lines, signal: this.#local.signal, session }, line)) break;
        } else if (line.trim() !== "" || this.#turn === "prompt") {
          await this.#abandoned;
          this.#turn = await this.#session.submit(line);
        }
      }
      if (this.#turn === "prompt") this.#turn = await this.#session.abandon();
      if (this.#turn !== "quit") await this.#session.submit("quit");
    } finally {
      this.#status.clear();
      this.#session.end();
      this.#readline.close();
    }
  }

  /** Lines as the user enters them; ends with Ctrl-D. */
  async *#typedLines(): AsyncGenerator<string> {
    for (;;) {
      const line = await this.#read();
      if (line === undefined) return;
      yield line;
    }
  }

  #read(): Promise<string | undefined> {
    if (this.#ahead.length > 0) return Promise.resolve(this.#ahead.shift());
    return new Promise((resolve) => {
      this.#entered = resolve;
      this.#status.clear();
      this.#readline.setPrompt(this.#turn === "prompt" ? this.#prompt : "*");
      this.#typing = true;
      this.#readline.prompt();
    });
  }

  #enter(line: string | undefined): void {
    this.#typing = false;
    this.#status.clear();
    const { history } = this.#readline;
    // Answers are no commands: they have no place in the history.
    if (line !== undefined && this.#turn === "prompt" && history?.[0] === line) history.shift();
    else if (line !== undefined && history !== undefined) saveHistory(this.#historyFile, history);
    if (line === undefined) this.#options.stdout.write("\n");
    const entered = this.#entered;
    this.#entered = undefined;
    if (entered !== undefined) entered(line);
    else this.#ahead.push(line);
  }

  async #print(text: string): Promise<void> {
    // Text that comes while the user types goes above the line at hand.
    if (this.#typing && !this.#options.output.redirected) this.#options.stdout.write("\r\x1b[J");
    this.#status.clear();
    await this.#options.output.write(text);
    if (this.#typing) this.#readline.prompt(true);
  }

  /** All but the last line of a prompt is text; the last line is readline's prompt. */
  async #takePrompt(text: string): Promise<void> {
    const cut = text.lastIndexOf("\n") + 1;
    await this.#print(text.slice(0, cut));
    this.#prompt = text.slice(cut);
    if (this.#options.output.redirected) await this.#options.output.write(this.#prompt);
  }

  /** Ctrl-C: abandons what runs or asks; at the `*` prompt clears the line. */
  #interrupt(): void {
    const empty = this.#readline.line === "";
    this.#local.abort();
    this.#ahead = [];
    Object.assign(this.#readline, { line: "", cursor: 0 });
    this.#options.stdout.write("^C\n");
    if (!this.#typing) {
      this.#session.interrupt();
      return;
    }
    this.#status.clear();
    if (this.#turn === "prompt") {
      this.#turn = "ready";
      this.#abandoned = this.#session.abandon();
      this.#abandoned.catch(() => undefined);
      this.#readline.setPrompt("*");
    } else if (empty) {
      this.#options.stdout.write("(quit ends the console)\n");
    }
    this.#readline.prompt();
  }

  #complete(line: string, done: (error: Error | null, result: [string[], string]) => void): void {
    if (this.#turn === "prompt" || line.startsWith("@")) {
      done(null, [[], line]);
      return;
    }
    this.#options.connection.complete(line).then(
      (reply) => done(null, [reply.candidates, reply.fragment]),
      () => done(null, [[], line]),
    );
  }
}
