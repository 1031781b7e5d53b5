/**
 * The console language: words, quoting, `keyword=value`, and how a typed word finds its command.
 *
 * `"…"` holds blanks; `\` makes the next character ordinary, inside and outside of quotes, except that `\ooo`
 * (three octal digits) is kept as typed: it is how names with bytes that are no text are shown and entered.
 */

/** One word after the command. */
export interface Arg {
  /** Lower case; of `keyword=value` the keyword, of a bare word the whole word. */
  readonly key: string;
  /** As typed, quotes resolved; undefined for a bare word. */
  readonly value: string | undefined;
  /** The whole word as typed, quotes resolved. */
  readonly text: string;
}

/** A line cut into its command word and what follows. */
export interface ParsedLine {
  /** First word as typed; "" for an empty line. */
  readonly command: string;
  readonly args: Args;
  /** The line as it came, without surrounding blanks. */
  readonly text: string;
}

/** The words after a command, in the order typed. Keywords are found in any case; the first of a kind counts. */
export class Args {
  readonly list: readonly Arg[];

  constructor(list: readonly Arg[]) {
    this.list = list;
  }

  /** The first word with one of these keywords. */
  find(...keys: string[]): Arg | undefined {
    return this.list.find((arg) => keys.includes(arg.key));
  }

  has(...keys: string[]): boolean {
    return this.find(...keys) !== undefined;
  }

  /** Value of the first of these keywords that has one. */
  value(...keys: string[]): string | undefined {
    return this.list.find((arg) => keys.includes(arg.key) && arg.value !== undefined)?.value;
  }

  /** Values of every occurrence, in order. */
  values(...keys: string[]): string[] {
    return this.list.filter((arg) => keys.includes(arg.key)).flatMap((arg) => arg.value ?? []);
  }

  /** Words without a value, in order, as typed. */
  bare(): string[] {
    return this.list.filter((arg) => arg.value === undefined).map((arg) => arg.text);
  }
}

/** Words of a line, quotes and escapes resolved. An unclosed quote reaches to the end of the line. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let open = false;
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!;
    if (char === "\\" && at + 1 < line.length) {
      open = true;
      if (/^[0-7]{3}/.test(line.slice(at + 1, at + 4))) word += char;
      else word += line[++at]!;
    } else if (char === '"') {
      quoted = !quoted;
      open = true;
    } else if (!quoted && /\s/.test(char)) {
      if (open) words.push(word);
      word = "";
      open = false;
    } else {
      word += char;
      open = true;
    }
  }
  if (open) words.push(word);
  return words;
}

function argOf(word: string): Arg {
  const cut = word.indexOf("=");
  if (cut <= 0) return { key: word.toLowerCase(), value: undefined, text: word };
  return { key: word.slice(0, cut).toLowerCase(), value: word.slice(cut + 1), text: word };
}

/** Cuts a line into command and arguments. */
export function parseLine(line: string): ParsedLine {
  const words = splitWords(line);
  return { command: words[0] ?? "", args: new Args(words.slice(1).map(argOf)), text: line.trim() };
}

/**
 * Entry of a table whose name is `word` or begins with it, in any case: an exact name first, else the first in
 * table order. Undefined for an empty word.
 */
export function findByPrefix<T extends { readonly name: string }>(
  table: readonly T[],
  word: string,
): T | undefined {
  const wanted = word.toLowerCase();
  if (wanted === "") return undefined;
  return table.find((entry) => entry.name === wanted) ?? table.find((entry) => entry.name.startsWith(wanted));
}

/** Numbers of `1,2,5-7`, each once; undefined when it is no such list or names more than `limit`, however often. */
export function parseIdList(text: string, limit = 10_000): number[] | undefined {
  const ids = new Set<number>();
  let named = 0;
  for (const part of text.split(",")) {
    const match = /^\s*(\d{1,9})(?:-(\d{1,9}))?\s*$/.exec(part);
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first === 0 || last < first) return undefined;
    named += last - first + 1;
    if (named > limit) return undefined;
    for (let id = first; id <= last; id++) ids.add(id);
  }
  return [...ids];
}
