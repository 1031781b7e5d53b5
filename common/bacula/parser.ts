/**
 * Makes the syntax tree out of tokens. What is no configuration at all is an error with file, line and column; all
 * errors are collected. Which resources and directives exist is not known here.
 */

import { ConfigError, Diagnostics, type Position, quoted } from "../config/diagnostics.js";
import { BackupError } from "../errors.js";
import { Lexer, type Token } from "./lexer.js";
import { SourceStack } from "./sources.js";
import type { BaculaConfig, BaculaDirective, BaculaResource, BaculaWord } from "./syntax.js";

const MAX_NESTING = 12;
const MAX_DIRECTIVES = 1_000_000;
/** After so many errors the rest says nothing new. */
const MAX_ERRORS = 100;

/**
 * Reads files one after the other as one configuration, with what they include.
 * @throws ConfigError with every finding, BackupError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export function readBaculaConfig(files: readonly string[]): BaculaConfig {
  const diagnostics = new Diagnostics();
  const sources = new SourceStack(diagnostics);
  const resources: BaculaResource[] = [];
  for (const file of files) {
    sources.start(file);
    const parser = new Parser(new Lexer(sources, diagnostics), diagnostics);
    resources.push(...parser.resources());
  }
  if (diagnostics.errors.length > 0) throw new ConfigError(files[0] ?? "", diagnostics.all);
  const { commands, latin1Files } = sources;
  return { files: [...sources.files], resources, commands, latin1Files };
}

class Parser {
  readonly #lexer: Lexer;
  readonly #diagnostics: Diagnostics;
  #token: Token;
  /** Comment lines seen since the last directive. */
  #comments: string[] = [];
  #directives = 0;

  constructor(lexer: Lexer, diagnostics: Diagnostics) {
    this.#lexer = lexer;
    this.#diagnostics = diagnostics;
    this.#token = lexer.next();
  }

  resources(): BaculaResource[] {
    const found: BaculaResource[] = [];
    for (;;) {
      this.#skipLines();
      const { kind, text, at } = this.#token;
      if (kind === "end") return found;
      if (kind === "close") {
        this.#fail(at, "a } too many");
        this.#advance();
        continue;
      }
      if (kind !== "word") {
        this.#fail(at, `a resource such as Job { … } is expected, not ${quoted(text)}`);
        this.#skipLine();
        continue;
      }
      const comments = this.#takeComments();
      const name = this.#name();
      this.#skipLines();
      if (this.#token.kind !== "open") {
        this.#fail(at, `{ must follow the resource ${quoted(name)}`);
        this.#skipLine();
        continue;
      }
      this.#advance();
      found.push({ kind: name, at, comments, directives: this.#block(name, at, 1) });
    }
  }

  /** Directives up to and with the closing brace. */
  #block(name: string, at: Position, depth: number): BaculaDirective[] {
    const directives: BaculaDirective[] = [];
    this.#comments = [];
    if (depth > MAX_NESTING) {
      throw new BackupError("CONFIG_INVALID", `${at.file}:${at.line}: blocks are nested too deeply`);
    }
    for (;;) {
      this.#skipLines();
      const { kind, text } = this.#token;
      if (kind === "close") {
        this.#advance();
        this.#comments = [];
        return directives;
      }
      if (kind === "end") {
        this.#fail(at, `the } that closes ${quoted(name)} is missing`);
        return directives;
      }
      if (kind !== "word") {
        this.#fail(this.#token.at, `a directive is expected in ${quoted(name)}, not ${quoted(text)}`);
        this.#skipLine();
        continue;
      }
      const directive = this.#directive(depth);
      if (directive !== undefined) directives.push(directive);
    }
  }

  #directive(depth: number): BaculaDirective | undefined {
    const { at } = this.#token;
    this.#directives += 1;
    if (this.#directives > MAX_DIRECTIVES) throw new BackupError("CONFIG_INVALID", "too many directives");
    const comments = this.#takeComments();
    const name = this.#name();
    const hasEquals = this.#token.kind === "equals";
    if (hasEquals) this.#advance();
    if (this.#opensBlock(hasEquals)) {
      this.#advance();
      return { name, at, comments, words: [], block: this.#block(name, at, depth + 1) };
    }
    if (!hasEquals) {
      this.#fail(this.#token.at, `= or { must follow ${quoted(name)}`);
      this.#skipLine();
      return undefined;
    }
    const words = this.#words(name);
    const remark = this.#remark(at);
    return remark === undefined ? { name, at, comments, words } : { name, at, comments, words, remark };
  }

  /** A brace, also in the next line when there was no `=`. */
  #opensBlock(hasEquals: boolean): boolean {
    if (!hasEquals) while (this.#token.kind === "line" || this.#token.kind === "comment") this.#advance();
    return this.#token.kind === "open";
  }

  /** Words up to something else, as one name. */
  #name(): string {
    const words: string[] = [];
    while (this.#token.kind === "word") {
      words.push(this.#token.text);
      this.#advance();
    }
    return words.join(" ");
  }

  /** The value up to the end of the line; a text in quotes may go on with another one in the next line (Bareos). */
  #words(name: string): BaculaWord[] {
    const words: BaculaWord[] = [];
    for (;;) {
      const { kind, text, at } = this.#token;
      if (kind === "word" || kind === "comma" || kind === "equals" || kind === "quoted") {
        words.push({ kind, text, at });
        this.#advance();
      } else if (kind === "open") {
        this.#fail(at, `{ in the value of ${quoted(name)}; a directive begins in a line of its own`);
        this.#advance();
      } else if (kind === "line" && words.at(-1)?.kind === "quoted" && this.#continues()) {
        // The next line's text is the next token.
      } else {
        return words;
      }
    }
  }

  /** Goes over line ends; true when a text in quotes follows. No directive begins with one. */
  #continues(): boolean {
    while (this.#token.kind === "line") this.#advance();
    return this.#token.kind === "quoted";
  }

  /** The comment on the line that the last value stands in. */
  #remark(at: Position): string | undefined {
    const { kind, text, at: where } = this.#token;
    if (kind !== "comment" || where.file !== at.file || where.line !== at.line) return undefined;
    this.#advance();
    return text.replace(/^[#\s]+/, "");
  }

  #skipLines(): void {
    for (;;) {
      const { kind, text } = this.#token;
      if (kind === "comment") this.#comments.push(text);
      else if (kind !== "line" && kind !== "semicolon") return;
      this.#advance();
    }
  }

  /** To the end of the line after an error, but not over a brace. */
  #skipLine(): void {
    const stop = ["line", "semicolon", "end", "close"];
    while (!stop.includes(this.#token.kind)) this.#advance();
  }

  #takeComments(): string[] {
    const comments = this.#comments;
    this.#comments = [];
    return comments;
  }

  #advance(): void {
    this.#token = this.#lexer.next();
  }

  #fail(at: Position, message: string): void {
    this.#diagnostics.error(at, message);
    if (this.#diagnostics.errors.length >= MAX_ERRORS) {
      throw new ConfigError(at.file, this.#diagnostics.all);
    }
  }
}
