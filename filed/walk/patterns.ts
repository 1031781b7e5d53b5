/**
 * Patterns of a FileSet as Bacula understands them: fnmatch(3) wildcards and POSIX extended regular expressions,
 * turned into JavaScript's.
 *
 * Paths are bytes. They are matched as text where they are valid UTF-8, so that `?` stands for one character; each
 * byte of a path that is not becomes a lone surrogate (U+DC80 to U+DCFF), which `?` and `*` match like any other.
 */
import { BackupError } from "../../common/errors.js";

export type TextMatcher = (text: string) => boolean;

const ASCII = /^[\0-\x7f]*$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Text of a latin1-carried path, for patterns only: not for display, not reversible by Buffer.from. */
export function textOfBytes(path: string): string {
  if (ASCII.test(path)) return path;
  const bytes = Buffer.from(path, "latin1");
  try {
    return utf8.decode(bytes);
  } catch {
    return Array.from(path, (char) => surrogate(char.charCodeAt(0))).join("");
  }
}

function surrogate(byte: number): string {
  return String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte);
}

export interface WildOptions {
  ignoreCase: boolean;
  /** FNM_PATHNAME: wildcards do not match a slash. */
  pathname: boolean;
}

/** fnmatch(3) over the whole text; a backslash takes the next character as it is. */
export function compileWild(pattern: string, options: WildOptions): TextMatcher {
  if (!/[*?[\\]/.test(pattern) && !options.ignoreCase) return (text) => text === pattern;
  const any = options.pathname ? "[^/]" : "[^]";
  const chars = Array.from(pattern);
  let source = "";
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*") {
      while (chars[at + 1] === "*") at++;
      source += `${any}*`;
    } else if (char === "?") {
      source += any;
    } else if (char === "[") {
      const bracket = readBracket(chars, at, true);
      if (bracket === undefined) source += "\\[";
      else {
        source += options.pathname ? `(?!/)${bracket.source}` : bracket.source;
        at = bracket.last;
      }
    } else {
      if (char === "\\" && at + 1 < chars.length) at++;
      source += literal(chars[at]!);
    }
  }
  return matcher(`^${source}$`, pattern, options.ignoreCase);
}

/** POSIX extended regular expression, found anywhere in the text. @throws BackupError FILESET_INVALID */
export function compileRegex(pattern: string, ignoreCase: boolean): TextMatcher {
  const chars = Array.from(pattern);
  let source = "";
  // True where a repetition has nothing to repeat: POSIX then takes the character itself.
  let start = true;
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    const opens = start;
    start = char === "(" || char === "|" || char === "^";
    if (char === "\\" && at + 1 < chars.length) {
      source += escaped(chars[++at]!);
    } else if (char === "[") {
      const bracket = readBracket(chars, at, false);
      if (bracket === undefined) throw invalid(pattern, "a [ is not closed");
      source += bracket.source;
      at = bracket.last;
    } else if (char === "{") {
      const repeat = /^\{\d+(,\d*)?\}/.exec(chars.slice(at).join(""));
      source += repeat === null || opens ? "\\{" : repeat[0];
      if (repeat !== null && !opens) at += repeat[0].length - 1;
    } else if ("*+?".includes(char)) {
      source += opens ? `\\${char}` : char;
    } else {
      source += char === "]" || char === "}" || char === "\\" || char === "/" ? `\\${char}` : char;
    }
  }
  return matcher(source, pattern, ignoreCase);
}

function escaped(char: string): string {
  if (/[1-9wWsSbB]/.test(char)) return `\\${char}`;
  if (char === "<") return "\\b(?=\\w)";
  if (char === ">") return "\\b(?<=\\w)";
  return literal(char);
}

function literal(char: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

function matcher(source: string, pattern: string, ignoreCase: boolean): TextMatcher {
  try {
    const regex = new RegExp(source, ignoreCase ? "sui" : "su");
    return (text) => regex.test(text);
  } catch (cause) {
    throw invalid(pattern, (cause as Error).message);
  }
}

function invalid(pattern: string, why: string): BackupError {
  return new BackupError("FILESET_INVALID", `pattern ${JSON.stringify(pattern)} cannot be used: ${why}`);
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: "\\p{L}",
  digit: "0-9",
  alnum: "\\p{L}\\p{Nd}",
  upper: "\\p{Lu}",
  lower: "\\p{Ll}",
  space: "\\s",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`\\{-~",
  print: "\\x20-\\x7e\\u{a0}-\\u{10ffff}",
  graph: "\\x21-\\x7e\\u{a1}-\\u{10ffff}",
  cntrl: "\\x00-\\x1f\\x7f",
  xdigit: "0-9A-Fa-f",
};

/**
 * The bracket expression that opens at `open`, as a JavaScript class, and where it ends; undefined when it does not.
 * `escapes`: a backslash quotes the next character (fnmatch); in a POSIX regex it is itself.
 */
function readBracket(
  chars: readonly string[],
  open: number,
  escapes: boolean,
): { source: string; last: number } | undefined {
  let at = open + 1;
  const negated = chars[at] === "^" || (escapes && chars[at] === "!");
  if (negated) at++;
  let body = "";
  for (const first = at; at < chars.length; at++) {
    let char = chars[at]!;
    if (char === "]" && at > first) return { source: classOf(body, negated), last: at };
    if (char === "[" && chars[at + 1] === ":") {
      const close = chars.indexOf("]", at);
      const name = chars.slice(at + 2, close - 1).join("");
      if (close > 0 && chars[close - 1] === ":" && CLASSES[name] !== undefined) {
        body += CLASSES[name];
        at = close;
        continue;
      }
    }
    if (char === "\\" && escapes && at + 1 < chars.length) char = chars[++at]!;
    const isRange = chars[at + 1] === "-" && chars[at + 2] !== undefined && chars[at + 2] !== "]";
    if (isRange && char <= chars[at + 2]!) {
      body += `${inClass(char)}-${inClass(chars[at + 2]!)}`;
      at += 2;
    } else if (isRange) {
      at += 2;
    } else {
      body += inClass(char);
    }
  }
  return undefined;
}

function classOf(body: string, negated: boolean): string {
  if (body === "") return negated ? "[^]" : "[]";
  return negated ? `[^${body}]` : `[${body}]`;
}

function inClass(char: string): string {
  return /[\\\]^[-]/.test(char) ? `\\${char}` : char;
}
