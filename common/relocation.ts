/**
 * Where restored files go by name: Bacula's RegexWhere, `!from!to!flags,…`, and StripPrefix, AddSuffix, AddPrefix, which are
 * expressions of that kind (Bacula Main Reference, "The RegexWhere Option"). Any character that is no letter, digit,
 * blank, backslash or quote may separate; a backslash before it, or before another backslash, takes it as it is.
 * Flags: `i` any case, `g` every match instead of the first. `$1` or `\1` stand for groups, `$0` for the match.
 *
 * Expressions come from whoever restores and names from whoever could make files: both are matched in linear time.
 */
import { BackupError } from "./errors.js";
import { bytesOfText, isSafeKey, pathToKey, withoutEndSlashes } from "./format/path.js";
import { codesOf, type Groups, LinearPattern, PatternError, textOf } from "./pattern/linear.js";
import { textOfBytes } from "./pattern/text.js";

interface Substitution {
  pattern: LinearPattern;
  /** Text, or the number of a group. */
  parts: readonly (string | number)[];
  everywhere: boolean;
}

/** More are no relocation; each costs time for every file. */
const MAX_SUBSTITUTIONS = 50;
const MAX_LENGTH = 16_384;
/** Longer than any path that is accepted. */
const MAX_RESULT = 140_000;

/** The parts of StripPrefix, AddPrefix and AddSuffix; absent and empty ones do nothing. */
export interface Affixes {
  strip?: string | undefined;
  prefix?: string | undefined;
  suffix?: string | undefined;
}

/** The expression for these, "" when there is nothing to change: strip, then suffix, then prefix. */
export function relocationOf({ strip = "", prefix = "", suffix = "" }: Affixes): string {
  const parts: string[] = [];
  const from = withoutEndSlashes(strip);
  if (from !== "") parts.push(`!^${quotePattern(from)}(/|$)!/!i`);
  if (suffix !== "") parts.push(`!([^/])$!$1${quoteText(suffix)}!`);
  if (prefix !== "") parts.push(`!^!${quoteText(withoutEndSlashes(prefix))}!`);
  return parts.join(",");
}

/** The expression that gives these names, and only these, new ones. No new name may be another one's old name. */
export function renamingOf(renames: readonly { readonly from: string; readonly to: string }[]): string {
  return renames.map(({ from, to }) => `!^${quotePattern(from)}$!${quoteText(to)}!`).join(",");
}

function quotePattern(text: string): string {
  return quotePart(text.replace(/[\^$*+?.()[\]{}|\\]/g, "\\$&"));
}

function quoteText(text: string): string {
  return quotePart(text.replace(/[$\\]/g, "\\$&"));
}

/** Between `!`s two backslashes are one, and one is itself unless a `!` or another follows. */
function quotePart(text: string): string {
  return text.replaceAll("\\\\", "\\\\\\\\").replaceAll("!", "\\!");
}

export class Relocation {
  readonly #substitutions: readonly Substitution[];

  /** @throws BackupError REGEX_WHERE with Bacula's words and the reason */
  constructor(where: string) {
    const bad = (why: string): BackupError =>
      new BackupError("REGEX_WHERE", `Bad where regexp. where=${where}: ${why}`);
    if (where.length > MAX_LENGTH) throw bad("it is too long");
    const found: Substitution[] = [];
    try {
      for (let at = 0; at < where.length; ) {
        const { next, ...substitution } = readSubstitution(where, at);
        found.push(substitution);
        at = next;
      }
    } catch (error) {
      if (error instanceof PatternError) throw bad(error.message);
      throw error;
    }
    if (found.length === 0) throw bad("it is empty");
    if (found.length > MAX_SUBSTITUTIONS) throw bad(`it has more than ${MAX_SUBSTITUTIONS} expressions`);
    this.#substitutions = found;
  }

  /** The new name for a text. */
  text(name: string): string {
    let codes = codesOf(name);
    for (const each of this.#substitutions) codes = substitute(each, codes);
    return textOf(codes);
  }

  /**
   * The new key of an entry; undefined when the expressions give no place below the root: a relative path, `..` in it.
   * A directory's name ends in a slash for the expressions, as in Bacula.
   */
  key(key: string, isDirectory: boolean): string | undefined {
    const path = `/${key.replaceAll("\0", "/")}${isDirectory && key !== "" ? "/" : ""}`;
    let text: string;
    try {
      text = this.text(textOfBytes(path));
    } catch (error) {
      if (error instanceof PatternError) return undefined;
      throw error;
    }
    if (!text.startsWith("/")) return undefined;
    const found = pathToKey(bytesOfMatched(text));
    return isSafeKey(found) ? found : undefined;
  }
}

/** Bytes of a text that textOfBytes made, or part of it: what was no UTF-8 comes back as it was. */
function bytesOfMatched(text: string): string {
  return text
    .split(/([\udc80-\udcff]+)/)
    .map((part, index) =>
      index % 2 === 0 ? bytesOfText(part) : Array.from(part, (char) => byteOf(char)).join(""),
    )
    .join("");
}

function byteOf(char: string): string {
  return String.fromCharCode(char.charCodeAt(0) - 0xdc00);
}

function substitute(each: Substitution, codes: number[]): number[] {
  const out: number[] = [];
  let from = 0;
  let last = -1;
  for (let at = 0; at <= codes.length; ) {
    const groups = each.pattern.find(codes, at);
    if (groups === undefined) break;
    const [start, end] = groups[0]!;
    if (start === end && start === last) {
      // Nothing, right behind what was replaced: as sed does it, that is no match of its own.
      at = end + 1;
      continue;
    }
    push(out, codes, from, start);
    for (const part of each.parts) {
      if (typeof part === "string") push(out, codesOf(part), 0);
      else pushGroup(out, codes, groups, part);
    }
    from = end;
    last = end;
    if (out.length > MAX_RESULT) throw new PatternError("the new name is too long");
    if (!each.everywhere) break;
    // An empty match goes on behind the next character.
    at = end > start ? end : end + 1;
  }
  push(out, codes, from);
  return out;
}

function push(out: number[], codes: readonly number[], start: number, end = codes.length): void {
  for (let at = start; at < end; at++) out.push(codes[at]!);
}

function pushGroup(out: number[], codes: readonly number[], groups: Groups, index: number): void {
  const group = groups[index];
  if (group !== undefined) push(out, codes, group[0], group[1]);
}

/** The expression that begins at `at`, and where the next one does. @throws PatternError */
function readSubstitution(where: string, at: number): Substitution & { next: number } {
  const separator = String.fromCodePoint(where.codePointAt(at)!);
  if (/[\p{L}\p{N}\s\\"']/u.test(separator))
    throw new PatternError(`"${separator}" cannot separate; write !from!to!`);
  const from = readPart(where, at + separator.length, separator);
  const to = from && readPart(where, from.next, separator);
  if (from === undefined || to === undefined)
    throw new PatternError(`it does not have the form ${separator}from${separator}to${separator}`);
  const flags = /^([ig]*)(,|$)/.exec(where.slice(to.next, to.next + 100));
  if (flags === null) throw new PatternError(`unknown flags at "${where.slice(to.next, to.next + 20)}"`);
  const pattern = LinearPattern.parse(from.text, flags[1]!.includes("i"));
  return {
    pattern,
    parts: replacementParts(to.text, pattern.groups),
    everywhere: flags[1]!.includes("g"),
    next: to.next + flags[0].length,
  };
}

/** Text up to the separator, and what follows it. */
function readPart(where: string, at: number, separator: string): { text: string; next: number } | undefined {
  let text = "";
  for (let i = at; i < where.length; i++) {
    if (where.startsWith(separator, i)) return { text, next: i + separator.length };
    if (where[i] === "\\" && where.startsWith(separator, i + 1)) {
      text += separator;
      i += separator.length;
    } else if (where[i] === "\\" && where[i + 1] === "\\") {
      text += "\\";
      i++;
    } else {
      text += where[i];
    }
  }
  return undefined;
}

/** A replacement as text and groups. @throws PatternError for a group that the expression does not have */
function replacementParts(text: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  for (const match of text.matchAll(/[$\\](\d)|\\(.)|[^$\\]+|[$\\]/gsu)) {
    const [whole, group, escaped] = match;
    if (group === undefined) parts.push(escaped ?? whole);
    else if (Number(group) <= groups) parts.push(Number(group));
    else throw new PatternError(`there is no group ${whole}`);
  }
  return parts;
}
