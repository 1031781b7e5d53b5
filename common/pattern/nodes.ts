/** POSIX extended regular expressions as a tree: what grep -E and regcomp(3) take, but no back-references. */
import { readBracket } from "./bracket.js";

/** True for a code point that the element takes. */
export type Takes = (code: number) => boolean;

export type PatternNode =
  | { kind: "one"; takes: Takes }
  | { kind: "sequence"; nodes: PatternNode[] }
  | { kind: "either"; nodes: PatternNode[] }
  /** `most` undefined: without end. */
  | { kind: "repeat"; node: PatternNode; least: number; most: number | undefined }
  | { kind: "group"; node: PatternNode; index: number }
  | { kind: "assert"; what: "start" | "end" | "boundary" | "noBoundary" | "wordStart" | "wordEnd" };

/** What makes an expression unusable, for people. */
export class PatternError extends Error {}

const MAX_PATTERN = 4096;
/** As regcomp(3): RE_DUP_MAX. */
const MAX_REPEAT = 255;
const MAX_DEPTH = 100;

export function isWordCode(code: number | undefined): boolean {
  if (code === undefined) return false;
  return (
    (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122)
  );
}

const ANY: Takes = () => true;
const isSpace: Takes = (code) => code === 32 || (code >= 9 && code <= 13);

/** An element that takes one character; in any case with `ignoreCase`. */
export function oneChar(char: string, ignoreCase: boolean): PatternNode {
  const codes = new Set([char.codePointAt(0)!]);
  if (ignoreCase) {
    for (const other of [char.toLowerCase(), char.toUpperCase()])
      if (Array.from(other).length === 1) codes.add(other.codePointAt(0)!);
  }
  const [code] = codes;
  return { kind: "one", takes: codes.size === 1 ? (at) => at === code : (at) => codes.has(at) };
}

/** An element for a JavaScript character class. Answers for the first code points are kept. */
export function oneOf(source: string, ignoreCase: boolean): PatternNode {
  const regex = new RegExp(`^${source}$`, ignoreCase ? "sui" : "su");
  const known = new Int8Array(256);
  const takes: Takes = (code) => {
    if (code >= 256) return regex.test(String.fromCodePoint(code));
    if (known[code] === 0) known[code] = regex.test(String.fromCodePoint(code)) ? 1 : -1;
    return known[code] === 1;
  };
  return { kind: "one", takes };
}

export function anyChar(takes: Takes = ANY): PatternNode {
  return { kind: "one", takes };
}

/** @throws PatternError */
export function parsePattern(pattern: string, ignoreCase: boolean): { node: PatternNode; groups: number } {
  if (pattern.length > MAX_PATTERN) throw new PatternError(`it is longer than ${MAX_PATTERN} characters`);
  const parser = new Parser(Array.from(pattern), ignoreCase);
  return { node: parser.whole(), groups: parser.groups };
}

class Parser {
  readonly #chars: readonly string[];
  readonly #ignoreCase: boolean;
  #at = 0;
  #depth = 0;
  groups = 0;

  constructor(chars: readonly string[], ignoreCase: boolean) {
    this.#chars = chars;
    this.#ignoreCase = ignoreCase;
  }

  whole(): PatternNode {
    const node = this.#either();
    if (this.#at < this.#chars.length) throw new PatternError("a ) closes nothing");
    return node;
  }

  #either(): PatternNode {
    const nodes = [this.#sequence()];
    while (this.#chars[this.#at] === "|") {
      this.#at++;
      nodes.push(this.#sequence());
    }
    return nodes.length === 1 ? nodes[0]! : { kind: "either", nodes };
  }

  #sequence(): PatternNode {
    const nodes: PatternNode[] = [];
    for (;;) {
      const char = this.#chars[this.#at];
      if (char === undefined || char === "|" || (char === ")" && this.#depth > 0)) break;
      const node = this.#element(char);
      nodes.push(this.#repeated(node));
    }
    return nodes.length === 1 ? nodes[0]! : { kind: "sequence", nodes };
  }

  #element(char: string): PatternNode {
    this.#at++;
    switch (char) {
      case "(":
        return this.#group();
      case ")":
        throw new PatternError("a ) closes nothing");
      case ".":
        return anyChar();
      case "^":
        return { kind: "assert", what: "start" };
      case "$":
        return { kind: "assert", what: "end" };
      case "[": {
        const bracket = readBracket(this.#chars, this.#at - 1, false);
        if (bracket === undefined) throw new PatternError("a [ is not closed");
        this.#at = bracket.last + 1;
        return oneOf(bracket.source, this.#ignoreCase);
      }
      case "\\":
        return this.#escaped();
      default:
        // Where there is nothing to repeat, POSIX takes the character itself.
        return oneChar(char, this.#ignoreCase);
    }
  }

  #group(): PatternNode {
    if (++this.#depth > MAX_DEPTH) throw new PatternError("its groups are nested too deeply");
    const index = ++this.groups;
    const node = this.#either();
    if (this.#chars[this.#at] !== ")") throw new PatternError("a ( is not closed");
    this.#at++;
    this.#depth--;
    return { kind: "group", node, index };
  }

  #escaped(): PatternNode {
    const char = this.#chars[this.#at];
    if (char === undefined) throw new PatternError("nothing follows the backslash at its end");
    this.#at++;
    if (/[1-9]/.test(char)) throw new PatternError(`back-references (\\${char}) within it are not possible`);
    const asserts = { b: "boundary", B: "noBoundary", "<": "wordStart", ">": "wordEnd" } as const;
    if (Object.hasOwn(asserts, char)) return { kind: "assert", what: asserts[char as keyof typeof asserts] };
    if (char === "w") return anyChar(isWordCode);
    if (char === "W") return anyChar((code) => !isWordCode(code));
    if (char === "s") return anyChar(isSpace);
    if (char === "S") return anyChar((code) => !isSpace(code));
    return oneChar(char, this.#ignoreCase);
  }

  #repeated(first: PatternNode): PatternNode {
    let node = first;
    for (;;) {
      const char = this.#chars[this.#at];
      let [least, most]: [number, number | undefined] = [0, undefined];
      if (char === "*") this.#at++;
      else if (char === "+") [least] = [1, this.#at++];
      else if (char === "?") [most] = [1, this.#at++];
      else if (char === "{") {
        const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 20).join(""));
        if (match === null) return node;
        least = Number(match[1]);
        most = match[2] === undefined ? least : match[3] === "" ? undefined : Number(match[3]);
        if (least > MAX_REPEAT || (most !== undefined && (most > MAX_REPEAT || most < least)))
          throw new PatternError(`${match[0]} is no number of repetitions`);
        this.#at += match[0].length;
      } else return node;
      node = { kind: "repeat", node, least, most };
    }
  }
}
