/**
 * Patterns of a FileSet as Bacula understands them: fnmatch(3) wildcards and POSIX extended regular expressions,
 * turned into JavaScript's.
 *
 * Paths are bytes. They are matched as text where they are valid UTF-8, so that `?` stands for one character; each
 * byte of a path that is not becomes a lone surrogate (U+DC80 to U+DCFF), which `?` and `*` match like any other.
 */
import { BackupError } from "../../common/errors.js";
import { readBracket } from "../../common/pattern/bracket.js";
import { LinearPattern, PatternError } from "../../common/pattern/linear.js";
import { parsePattern } from "../../common/pattern/nodes.js";
import {
  bounded,
  checkLength,
  choicesOf,
  fastMatcher,
  literal,
  type TextMatcher,
  type WildOptions,
  wildMatcher,
} from "../../common/pattern/wild.js";

export type { TextMatcher };

/** fnmatch(3) over the whole text; a backslash takes the next character as it is. @throws BackupError FILESET_INVALID */
export function compileWild(pattern: string, options: WildOptions): TextMatcher {
  return checked(pattern, () => wildMatcher(pattern, options));
}

/** POSIX extended regular expression, found anywhere in the text. @throws BackupError FILESET_INVALID */
export function compileRegex(pattern: string, ignoreCase: boolean): TextMatcher {
  return checked(pattern, () => {
    checkLength(pattern);
    const fast = fastMatcher(sourceOf(pattern), ignoreCase);
    // Nothing to choose, so nothing to try again. It may have back-references, which the linear engine does not know.
    if (!/[*+?{|]/.test(pattern)) return fast;
    const { repeats, branches } = choicesOf(parsePattern(pattern, ignoreCase).node);
    // One more for where the match starts.
    return bounded(fast, { repeats: repeats + 1, branches }, () => LinearPattern.parse(pattern, ignoreCase));
  });
}

/** The expression as JavaScript has it. @throws PatternError */
function sourceOf(pattern: string): string {
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
      if (bracket === undefined) throw new PatternError("a [ is not closed");
      source += bracket.source;
      at = bracket.last;
    } else if (char === "{") {
      const repeat = /^\{\d+(,\d*)?\}/.exec(chars.slice(at, at + 20).join(""));
      source += repeat === null || opens ? "\\{" : repeat[0];
      if (repeat !== null && !opens) at += repeat[0].length - 1;
    } else if ("*+?".includes(char)) {
      source += opens ? `\\${char}` : char;
    } else {
      source += char === "]" || char === "}" || char === "\\" || char === "/" ? `\\${char}` : char;
    }
  }
  return source;
}

function escaped(char: string): string {
  if (/[1-9wWsSbB]/.test(char)) return `\\${char}`;
  if (char === "<") return "\\b(?=\\w)";
  if (char === ">") return "\\b(?<=\\w)";
  return literal(char);
}

/** @throws BackupError FILESET_INVALID for a pattern that cannot be used */
function checked<T>(pattern: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    const shown = JSON.stringify(pattern.length > 200 ? `${pattern.slice(0, 200)}…` : pattern);
    throw new BackupError("FILESET_INVALID", `pattern ${shown} cannot be used: ${cause.message}`);
  }
}
