/** What a command sees of its session: its words, its rights, the way to print and to ask. */
import { type Acl, type AclKind, notAllowed } from "./acl.js";
import type { ParsedLine } from "./grammar.js";
import type { ConsoleDirector } from "./port.js";
import type { SentFiles } from "./sent-files.js";
import { type Cell, formatBlocks, formatTable, type Row } from "./table.js";

/** Ends a command without an error report: the reason was printed, or the user asked for it. */
export class Abandoned extends Error {
  constructor(message = "") {
    super(message);
    this.name = "Abandoned";
  }
}

/** Values of a structured answer (`.api json`). */
export type Data = Cell | Data[] | { [key: string]: Data };

/** What outlives a command within one session. */
export interface SessionState {
  catalogShown: boolean;
  autodisplay: boolean;
  /** What `label` has labelled is mounted. (Default: yes) */
  automount?: boolean;
  /** Answers are one JSON object per command. */
  json: boolean;
  /** `.status` prints `key=value` lines, as for Bacula's `.api 1` and `.api 2`. (Default: false) */
  terse?: boolean;
  /** Set by quit. */
  ended: boolean;
  /** What `@putfile` has sent; absent for what is no console. */
  sent?: SentFiles;
}

/** The session's side of a context. */
export interface Terminal {
  print(text: string): Promise<void>;
  /** Shows a prompt; resolves with the next input line. @throws Abandoned at the end of input or an interrupt */
  ask(prompt: string): Promise<string>;
}

export class CommandContext {
  /** What this console may see and use of the director. */
  readonly director: ConsoleDirector;
  /** All of it, for what must be decided with everything in view. Nothing of it may be printed unfiltered. */
  readonly whole: ConsoleDirector;
  readonly console: string;
  /** From where it calls, without the port; empty when that is not known. */
  readonly address: string;
  readonly acl: Acl;
  readonly line: ParsedLine;
  readonly state: SessionState;
  /** Aborted by an interrupt or when the console is gone. */
  readonly signal: AbortSignal;
  /** Structured answer of this command. */
  readonly data: { [key: string]: Data } = {};
  /** Printed text, kept in JSON mode only. */
  readonly text: string[] = [];
  readonly #terminal: Terminal;

  constructor(parts: {
    director: ConsoleDirector;
    /** (Default: the same) */
    whole?: ConsoleDirector;
    console: string;
    /** (Default: not known) */
    address?: string | undefined;
    acl: Acl;
    line: ParsedLine;
    state: SessionState;
    signal: AbortSignal;
    terminal: Terminal;
  }) {
    this.director = parts.director;
    this.whole = parts.whole ?? parts.director;
    this.console = parts.console;
    this.address = parts.address ?? "";
    this.acl = parts.acl;
    this.line = parts.line;
    this.state = parts.state;
    this.signal = parts.signal;
    this.#terminal = parts.terminal;
  }

  get args() {
    return this.line.args;
  }

  get config() {
    return this.director.config;
  }

  /** Prints text as it is. In JSON mode it is kept for the answer. */
  async print(text: string): Promise<void> {
    if (text === "") return;
    if (this.state.json) this.text.push(text);
    else await this.#terminal.print(text);
  }

  /** Prints one line. */
  say(line: string): Promise<void> {
    return this.print(`${line}\n`);
  }

  /** Asks; `.` abandons the command. */
  async ask(prompt: string): Promise<string> {
    const answer = (await this.#terminal.ask(prompt)).trim();
    if (answer === ".") {
      await this.say("Selection aborted, nothing done.");
      throw new Abandoned("selection aborted");
    }
    return answer;
  }

  /** Asks and returns the line as typed, `.` included. */
  askRaw(prompt: string): Promise<string> {
    return this.#terminal.ask(prompt);
  }

  /** Prints a message and ends the command. */
  async fail(line: string): Promise<never> {
    await this.say(line);
    throw new Abandoned(line);
  }

  /** Prints records as a table or, with `long`, as blocks, and puts them into the structured answer. */
  async records(key: string, columns: readonly string[], rows: readonly Row[], long = false): Promise<void> {
    const picked = rows.map((row) =>
      Object.fromEntries(columns.map((column) => [column, row[column] ?? null])),
    );
    const before = this.data[key];
    this.data[key] = Array.isArray(before) ? [...before, ...picked] : picked;
    await this.print(long ? formatBlocks(columns, rows) : formatTable(columns, rows));
  }

  /** Adds one more value to a list of the structured answer. */
  append(key: string, value: Data): void {
    const before = this.data[key];
    if (Array.isArray(before)) before.push(value);
    else this.data[key] = [value];
  }

  /**
   * The two lines that the first use of the catalog in a session prints.
   * @throws BackupError NOT_ALLOWED when CatalogACL does not grant it
   */
  async useCatalog(): Promise<void> {
    const name = catalogName(this.whole);
    this.require("catalog", name, "Catalog");
    if (this.state.catalogShown) return;
    this.state.catalogShown = true;
    await this.say(`Automatically selected Catalog: ${name}`);
    await this.say(`Using Catalog "${name}"`);
  }

  /** @throws BackupError NOT_ALLOWED when the console's list does not grant the name */
  require(kind: AclKind, name: string, what: string): void {
    if (!this.acl.allows(kind, name)) throw notAllowed(`${what} "${name}"`);
  }
}

/** Name under which the catalog is spoken of: that of the first client's Catalog directive. */
export function catalogName(director: ConsoleDirector): string {
  for (const client of director.config.clients.values()) if (client.catalog) return client.catalog;
  return "MyCatalog";
}

/** One command of the language. */
export interface Command {
  readonly name: string;
  /** One line for `help`. */
  readonly summary: string;
  /** Forms for `help NAME`, one a line. */
  readonly usage: readonly string[];
  /** Keywords offered by completion; those that end in `=` take a value. */
  readonly keywords: readonly string[];
  run(context: CommandContext): Promise<void>;
}
