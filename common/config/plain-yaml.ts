/**
 * Reads the plain part of YAML in one pass: block maps and lists by indentation, values and flow collections on one
 * line, comments. That is how nearly all configuration is written, and a whole parser of YAML takes ten times as long for
 * it, which the director of a large site would spend at each start.
 *
 * Whatever is anything else (anchors, tags, texts over several lines, escapes, tabs, an empty value, any fault) gives
 * undefined, and the caller reads the text with the whole parser. So this never has to report anything; what it does
 * give is, positions included, what the whole parser gives. A test compares the two.
 */

import type { Position } from "./diagnostics.js";
import type { ConfigEntry, ConfigNode } from "./source.js";

/** Deeper, longer or larger is left to the whole parser, which knows the limits. */
const MAX_DEPTH = 16;
const MAX_LINE = 1000;
const MAX_NODES = 50_000;

/** A directive's name, or an address that mail goes to, then `:` and a blank or the end of the line. */
const KEY = /([A-Za-z][\w.@-]*(?: [\w-]+)*):(?= |$)/y;
/** Nothing else is printed by everybody's editor as it is read here: no tab, no other line break, no control character. */
const STRANGE = /[^\n\x20-\x7e\xa1-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\ud7ff]/;
/** What a text without quotes begins with. `-`, `?` and `:` could, when no blank follows. */
const PLAIN = /[^\s\-?:,[\]{}#&*!|>'"%@`][^\n]*/y;
/** The same between brackets, in letters that mean nothing there. */
const FLOW_PLAIN = /[\w/.~$^(+][\w/.~$^()+*?=!@%;<> -]*/y;
const DOUBLE = /"((?:[^"\\]|\\[\\"])*)"/y;
const SINGLE = /'((?:[^']|'')*)'/y;
/** Blanks and a comment. */
const REST = /(?: +#.*| *)$/y;

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** Thrown where the whole parser has to decide. */
const NOT_PLAIN = Symbol("not plain");

/** The content of a text that holds a map or a list; undefined when it is for the whole parser. */
export function parsePlainYaml(file: string, text: string): ConfigNode | undefined {
  if (STRANGE.test(text)) return undefined;
  try {
    return new PlainReader(file, contentLines(text)).document();
  } catch (error) {
    if (error === NOT_PLAIN) return undefined;
    throw error;
  }
}

/** Lines that are neither empty nor a comment. */
function contentLines(text: string): Line[] {
  const lines: Line[] = [];
  let number = 0;
  for (const line of text.split("\n")) {
    number++;
    const indent = line.search(/[^ ]/);
    if (indent < 0 || line[indent] === "#") continue;
    if (line.length > MAX_LINE) throw NOT_PLAIN;
    lines.push({ number, indent, text: line });
  }
  return lines;
}

class PlainReader {
  readonly #file: string;
  readonly #lines: readonly Line[];
  #next = 0;
  #nodes = 0;
  /** The line that is read, and where in it. */
  #line: Line = { number: 0, indent: 0, text: "" };
  #column = 0;

  constructor(file: string, lines: readonly Line[]) {
    this.#file = file;
    this.#lines = lines;
  }

  document(): ConfigNode {
    const first = this.#lines[0];
    if (first === undefined || first.indent !== 0) throw NOT_PLAIN;
    const root = this.#root(first);
    if (this.#next < this.#lines.length) throw NOT_PLAIN;
    return root;
  }

  #root(first: Line): ConfigNode {
    if (isItem(first, 0)) return this.#list(0, 0);
    if (first.text[0] !== "[") return this.#map(0, 0);
    this.#line = first;
    this.#next++;
    return this.#oneLine(0);
  }

  /** The entries at this indentation; the first may stand behind the `- ` of a list. */
  #map(indent: number, depth: number): ConfigNode {
    const entries: ConfigEntry[] = [];
    const first = this.#lines[this.#next];
    if (first === undefined) throw NOT_PLAIN;
    const at: Position = { file: this.#file, line: first.number, column: indent + 1 };
    for (;;) {
      const line = this.#lines[this.#next];
      const isFirst = entries.length === 0;
      if (line === undefined || (!isFirst && line.indent < indent)) break;
      if (!isFirst && line.indent > indent) throw NOT_PLAIN;
      this.#line = line;
      this.#column = indent;
      const [, key] = this.#take(KEY) ?? [];
      if (key === undefined) throw NOT_PLAIN;
      const keyAt = isFirst ? at : { file: this.#file, line: line.number, column: indent + 1 };
      this.#next++;
      entries.push({ key, at: keyAt, value: this.#value(indent, depth + 1) });
    }
    return { kind: "map", entries, at };
  }

  /** What belongs to a key: the rest of its line, or the lines below that are further in. */
  #value(indent: number, depth: number): ConfigNode {
    this.#count(depth);
    if (this.#take(REST) === undefined) {
      this.#blanks();
      return this.#oneLine(depth);
    }
    const below = this.#lines[this.#next];
    if (below === undefined) throw NOT_PLAIN;
    if (isItem(below, below.indent) && below.indent >= indent) return this.#list(below.indent, depth);
    if (below.indent > indent) return this.#map(below.indent, depth);
    throw NOT_PLAIN;
  }

  #list(indent: number, depth: number): ConfigNode {
    const items: ConfigNode[] = [];
    const at: Position = { file: this.#file, line: this.#lines[this.#next]!.number, column: indent + 1 };
    for (;;) {
      const line = this.#lines[this.#next];
      if (line === undefined || line.indent < indent) break;
      // Further in it would go on with the item above; here it is a key beside the one that has this list, or a fault.
      if (line.indent > indent) throw NOT_PLAIN;
      if (!isItem(line, indent)) break;
      this.#line = line;
      const start = line.text.slice(indent + 1).search(/[^ ]/);
      if (start < 0) throw NOT_PLAIN;
      this.#column = indent + 1 + start;
      items.push(this.#item(depth + 1));
    }
    return { kind: "list", items, at };
  }

  /** What stands behind a `- `. */
  #item(depth: number): ConfigNode {
    this.#count(depth);
    KEY.lastIndex = this.#column;
    if (KEY.test(this.#line.text)) return this.#map(this.#column, depth);
    this.#next++;
    return this.#oneLine(depth);
  }

  /** A value that ends with its line. */
  #oneLine(depth: number): ConfigNode {
    const first = this.#line.text[this.#column];
    if (first === "[" || first === "{" || first === '"' || first === "'") {
      const value = this.#flow(depth);
      if (this.#take(REST) === undefined) throw NOT_PLAIN;
      return value;
    }
    const at = this.#here();
    const whole = this.#take(PLAIN)?.[0];
    if (whole === undefined) throw NOT_PLAIN;
    const text = whole.replace(/ +#.*$/, "").trimEnd();
    if (/: |:$/.test(text)) throw NOT_PLAIN;
    return { kind: "scalar", text, at };
  }

  /** A value in quotes or brackets, or between brackets. */
  #flow(depth: number): ConfigNode {
    const at = this.#here();
    const first = this.#line.text[this.#column];
    if (first === "[") return { kind: "list", items: this.#members("]", () => this.#member(depth)), at };
    if (first === "{") return { kind: "map", entries: this.#members("}", () => this.#entry(depth)), at };
    const double = this.#take(DOUBLE);
    if (double !== undefined) return { kind: "scalar", text: double[1]!.replace(/\\(.)/g, "$1"), at };
    const single = this.#take(SINGLE);
    if (single !== undefined) return { kind: "scalar", text: single[1]!.replaceAll("''", "'"), at };
    const plain = this.#take(FLOW_PLAIN)?.[0];
    if (plain === undefined) throw NOT_PLAIN;
    return { kind: "scalar", text: plain.trimEnd(), at };
  }

  #member(depth: number): ConfigNode {
    this.#count(depth + 1);
    return this.#flow(depth + 1);
  }

  #entry(depth: number): ConfigEntry {
    const at = this.#here();
    const [, key] = this.#take(KEY) ?? [];
    if (key === undefined) throw NOT_PLAIN;
    this.#blanks();
    return { key, at, value: this.#member(depth) };
  }

  /** What stands between two brackets, with commas between. */
  #members<T>(end: "]" | "}", one: () => T): T[] {
    const members: T[] = [];
    this.#skip();
    if (this.#ends(end)) return members;
    for (;;) {
      members.push(one());
      this.#blanks();
      if (this.#ends(end)) return members;
      if (this.#line.text[this.#column] !== ",") throw NOT_PLAIN;
      this.#skip();
    }
  }

  #ends(end: string): boolean {
    if (this.#line.text[this.#column] !== end) return false;
    this.#column++;
    return true;
  }

  /** Over the character here and the blanks behind it. */
  #skip(): void {
    this.#column++;
    this.#blanks();
  }

  #blanks(): void {
    while (this.#line.text[this.#column] === " ") this.#column++;
  }

  #here(): Position {
    return { file: this.#file, line: this.#line.number, column: this.#column + 1 };
  }

  /** Goes behind what the pattern matches here; undefined and no step when it does not. */
  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#column;
    const found = pattern.exec(this.#line.text);
    if (found === null) return undefined;
    this.#column += found[0].length;
    return found;
  }

  #count(depth: number): void {
    this.#nodes++;
    if (depth > MAX_DEPTH || this.#nodes > MAX_NODES) throw NOT_PLAIN;
  }
}

function isItem({ text, indent }: Line, at: number): boolean {
  return indent === at && text[at] === "-" && (text[at + 1] === " " || text.length === at + 1);
}
