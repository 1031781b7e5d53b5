/**
 * Patterns of a FileSet as Bacula understands them: fnmatch(3) wildcards and POSIX extended regular expressions,
 * turned into JavaScript's.
 *
 * Paths are bytes. They are matched as text where they are valid UTF-8, so that `?` stands for one character; each
 * byte of a path that is not becomes a lone surrogate (U+DC80 to U+DCFF), which `?` and `*` match like any other.
 *
 * JavaScript's engine is fast, but several repetitions on a long path can keep it busy for hours. It gets what it cannot take
 * long for; the rest goes to an engine that takes linear time.
 */
import { BackupError } from "../../common/errors.js";
import { readBracket } from "../../common/pattern/bracket.js";
import { LinearPattern, PatternError } from "../../common/pattern/linear.js";
import { anyChar, oneChar, oneOf, type PatternNode } from "../../common/pattern/nodes.js";

export type TextMatcher = (text: string) => boolean;

export interface WildOptions {
  ignoreCase: boolean;
  /** FNM_PATHNAME: wildcards do not match a slash. */
  pathname: boolean;
}

/** fnmatch(3) over the whole text; a backslash takes the next character as it is. */
export function compileWild(pattern: string, options: WildOptions): TextMatcher {
  if (!/[*?[\\]/.test(pattern) && !options.ignoreCase) return (text) => text === pattern;
  const { ignoreCase } = options;
  const any = options.pathname ? "[^/]" : "[^]";
  const one = options.pathname ? anyChar((code) => code !== SLASH) : anyChar();
  const chars = Array.from(pattern);
  let source = "";
  let stars = 0;
  const nodes: PatternNode[] = [{ kind: "assert", what: "start" }];
  const add = (text: string, node: PatternNode): void => {
    source += text;
    nodes.push(node);
  };
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    const bracket = char === "[" ? readBracket(chars, at, true) : undefined;
    if (char === "*") {
      while (chars[at + 1] === "*") at++;
      stars++;
      add(`${any}*`, { kind: "repeat", node: one, least: 0, most: undefined });
    } else if (char === "?") {
      add(any, one);
    } else if (bracket !== undefined) {
      const set = options.pathname ? `(?!/)${bracket.source}` : bracket.source;
      add(set, oneOf(set, ignoreCase));
      at = bracket.last;
    } else {
      if (char === "\\" && at + 1 < chars.length) at++;
      add(literal(chars[at]!), oneChar(chars[at]!, ignoreCase));
    }
  }
  nodes.push({ kind: "assert", what: "end" });
  const fast = matcher(`^${source}$`, pattern, ignoreCase);
  return bounded(fast, { pattern, repeats: stars }, () => new LinearPattern({ kind: "sequence", nodes }, 0));
}

const SLASH = 47;

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
  const fast = matcher(source, pattern, ignoreCase);
  return bounded(fast, { pattern, repeats: repeatsOf(pattern) }, () =>
    LinearPattern.parse(pattern, ignoreCase),
  );
}

/**
 * Places where an engine that tries one way after the other has a choice of how far to go, the start of the match among
 * them; Infinity when a group is repeated, since what is in it may have choices too.
 */
function repeatsOf(pattern: string): number {
  const plain = pattern.replace(/\\./gs, "x").replace(/\[\^?\]?(\[:\w+:\]|[^\]])*\]/g, "x");
  if (/\)([*+{])/.test(plain)) return Number.POSITIVE_INFINITY;
  return 1 + (plain.match(/[*+{?]/g) ?? []).length;
}

/** Steps that may be spent on one path. */
const MAX_TRIES = 200_000;

/** The fast matcher for texts on which it cannot take long, a linear one for others. */
function bounded(
  fast: TextMatcher,
  { pattern, repeats }: { pattern: string; repeats: number },
  linear: () => LinearPattern,
): TextMatcher {
  if (repeats <= 1) return fast;
  let longest = 0;
  while (longest < 4096 && tries(longest + 1, repeats) <= MAX_TRIES) longest++;
  let slow: LinearPattern;
  try {
    slow = linear();
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    throw invalid(pattern, cause.message);
  }
  return (text) => (text.length <= longest ? fast(text) : slow.test(text));
}

/** How many ways there are to place so many ends of repetitions in a text. */
function tries(length: number, repeats: number): number {
  let ways = 1;
  for (let each = 1; each <= Math.min(repeats, length) && ways <= MAX_TRIES; each++)
    ways = (ways * (length + each)) / each;
  return repeats === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : ways;
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
