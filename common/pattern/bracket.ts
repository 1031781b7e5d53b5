/** Bracket expressions of POSIX patterns as JavaScript character classes. */

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
export function readBracket(
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
