/**
 * Words of Bacula's configuration language, as the manual ("Customizing the Configuration Files") has them and as
 * Bacula 9.6 was seen to read them:
 *
 * - `#` begins a comment, also directly behind a word; blanks separate words; `;` ends a line.
 * - In `"…"` a backslash takes the next character as it is; line ends stay part of the text. Elsewhere it is an
 *   ordinary character, but for two at the start of a word, which are one.
 * - A word ends at a blank, `=`, `,`, `;`, `{`, `}`, `#`, `"` or the end of the line.
 * - `@name` where a word may begin reads another file in its place.
 */

import { type Diagnostics, type Position, quoted } from "../config/diagnostics.js";
import { BackupError } from "../errors.js";
import type { SourceStack } from "./sources.js";

export type TokenKind =
  | "word"
  | "quoted"
  | "comma"
  | "equals"
  | "open"
  | "close"
  /** End of a line. */
  | "line"
  /** `;` */
  | "semicolon"
  | "comment"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: Position;
}

const PUNCTUATION: Readonly<Record<string, TokenKind>> = {
  "{": "open",
  "}": "close",
  "=": "equals",
  ",": "comma",
  ";": "semicolon",
  "\n": "line",
  "": "end",
};

const WORD_END = /[\s=,;{}#"]/;
const MAX_TEXT = 256 * 1024;
const MAX_TOKENS = 4_000_000;

export class Lexer {
  readonly #sources: SourceStack;
  readonly #diagnostics: Diagnostics;
  #tokens = 0;

  constructor(sources: SourceStack, diagnostics: Diagnostics) {
    this.#sources = sources;
    this.#diagnostics = diagnostics;
  }

  /** The next token; `end` for ever at the end. @throws BackupError CONFIG_INVALID for what no human wrote */
  next(): Token {
    this.#tokens += 1;
    if (this.#tokens > MAX_TOKENS) throw new BackupError("CONFIG_INVALID", "the configuration is too large");
    for (;;) {
      const at = this.#sources.position;
      const character = this.#sources.peek();
      const kind = Object.hasOwn(PUNCTUATION, character) ? PUNCTUATION[character] : undefined;
      if (kind !== undefined) return { kind, text: this.#sources.take(), at };
      if (/\s/.test(character)) {
        this.#sources.take();
      } else if (character === "#") {
        return this.#comment(at);
      } else if (character === '"') {
        return this.#quoted(at);
      } else if (character === "@") {
        this.#include(at);
      } else {
        return this.#word(at);
      }
    }
  }

  #comment(at: Position): Token {
    let text = "";
    this.#sources.take();
    while (this.#sources.peek() !== "\n" && this.#sources.peek() !== "") text += this.#sources.take();
    return { kind: "comment", text: text.trimEnd(), at };
  }

  #quoted(at: Position): Token {
    let text = "";
    this.#sources.take();
    for (;;) {
      // A text never goes on in the file that included this one.
      const position = this.#sources.position;
      const character = this.#sources.take();
      if (character === '"') return { kind: "quoted", text, at };
      if (character === "" || this.#sources.position.file !== at.file) {
        this.#diagnostics.error(at, "the text that begins with this quote is not closed");
        return { kind: "quoted", text: "", at };
      }
      text += character === "\\" ? this.#sources.take() : character;
      this.#limit(text, position);
    }
  }

  #word(at: Position): Token {
    let text = this.#sources.take();
    if (text === "\\" && this.#sources.peek() === "\\") this.#sources.take();
    while (this.#sources.peek() !== "" && !WORD_END.test(this.#sources.peek())) {
      text += this.#sources.take();
      this.#limit(text, at);
    }
    return { kind: "word", text, at };
  }

  #include(at: Position): void {
    this.#sources.take();
    let name = "";
    if (this.#sources.peek() === '"') name = this.#quoted(at).text;
    else if (this.#sources.peek() === "|" && this.#sources.peekSecond() === '"') {
      this.#sources.take();
      name = `|${this.#quoted(at).text}`;
    } else if (this.#sources.peek() !== "" && !WORD_END.test(this.#sources.peek()))
      name = this.#word(at).text;
    if (name === "" || name === "|") {
      throw new BackupError("CONFIG_INVALID", `${at.file}:${at.line}: a file name must follow @`);
    }
    this.#sources.include(name, at);
  }

  #limit(text: string, at: Position): void {
    if (text.length <= MAX_TEXT) return;
    const where = `${at.file}:${at.line}`;
    throw new BackupError("CONFIG_INVALID", `${where}: ${quoted(text)}: a value longer than ${MAX_TEXT}`);
  }
}
