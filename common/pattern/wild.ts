/**
 * Wildcards of fnmatch(3), and which engine matches a pattern: JavaScript's is fast, but several repetitions on a long text
 * can keep it busy for hours. It gets what it cannot take long for; the rest goes to one that takes linear time.
 */
import { readBracket } from "./bracket.js";
import { LinearPattern, PatternError } from "./linear.js";
import { anyChar, oneChar, oneOf, type PatternNode } from "./nodes.js";

export type TextMatcher = (text: string) => boolean;

export interface WildOptions {
  ignoreCase: boolean;
  /** FNM_PATHNAME: wildcards do not match a slash. */
  pathname: boolean;
}

/** What an engine that tries one way after the other may choose in a pattern. */
export interface Choices {
  /** Places where it may choose how far to go, the start of the match among them; Infinity: they multiply. */
  repeats: number;
  /** Ways through the alternatives. */
  branches: number;
}

/** Characters of a pattern. */
const MAX_PATTERN = 4096;
/** Ways that may be tried on one text. */
const MAX_TRIES = 200_000;
/** Alternatives with which a pattern that repeats nothing is fast on every text. */
const MAX_PLAIN_BRANCHES = 48;
const SLASH = 47;

/** fnmatch(3) over the whole text; a backslash takes the next character as it is. @throws PatternError */
export function wildMatcher(pattern: string, options: WildOptions): TextMatcher {
  if (!/[*?[\\]/.test(pattern) && !options.ignoreCase) return (text) => text === pattern;
  checkLength(pattern);
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
  const linear = () => new LinearPattern({ kind: "sequence", nodes }, 0);
  return bounded(fastMatcher(`^${source}$`, ignoreCase), { repeats: stars, branches: 1 }, linear);
}

/** @throws PatternError */
export function checkLength(pattern: string): void {
  if (pattern.length > MAX_PATTERN) throw new PatternError(`it is longer than ${MAX_PATTERN} characters`);
}

/** A character as JavaScript's expressions have it. */
export function literal(char: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

/** JavaScript's own engine. @throws PatternError */
export function fastMatcher(source: string, ignoreCase: boolean): TextMatcher {
  try {
    const regex = new RegExp(source, ignoreCase ? "sui" : "su");
    return (text) => regex.test(text);
  } catch (cause) {
    throw new PatternError((cause as Error).message, { cause });
  }
}

/** The fast matcher for texts on which it cannot take long, a linear one for others. @throws what `linear` throws */
export function bounded(fast: TextMatcher, choices: Choices, linear: () => LinearPattern): TextMatcher {
  if (choices.repeats <= 1 && choices.branches <= MAX_PLAIN_BRANCHES) return fast;
  let longest = 0;
  while (longest < 4096 && tries(longest + 1, choices) <= MAX_TRIES) longest++;
  const slow = linear();
  return (text) => (text.length <= longest ? fast(text) : slow.test(text));
}

/** How many ways there are to place so many ends of repetitions in a text, on each way through the alternatives. */
function tries(length: number, { repeats, branches }: Choices): number {
  if (repeats === Number.POSITIVE_INFINITY) return repeats;
  let ways = branches;
  for (let each = 1; each <= Math.min(repeats, length) && ways <= MAX_TRIES; each++)
    ways = (ways * (length + each)) / each;
  return ways;
}

/** What is to be chosen in an expression. */
export function choicesOf(node: PatternNode): Choices {
  switch (node.kind) {
    case "one":
    case "assert":
      return { repeats: 0, branches: 1 };
    case "group":
      return choicesOf(node.node);
    case "sequence":
      return node.nodes.map(choicesOf).reduce(
        (all, each) => ({
          repeats: all.repeats + each.repeats,
          branches: all.branches * each.branches,
        }),
        { repeats: 0, branches: 1 },
      );
    case "either":
      return node.nodes.map(choicesOf).reduce((all, each) => ({
        repeats: Math.max(all.repeats, each.repeats),
        branches: all.branches + each.branches,
      }));
    case "repeat": {
      const { repeats, branches } = choicesOf(node.node);
      if (node.most === 1) return { repeats, branches: branches + 1 };
      // What is repeated may have choices too, each time.
      const isPlain = repeats === 0 && branches === 1;
      return { repeats: isPlain ? 1 : Number.POSITIVE_INFINITY, branches };
    }
  }
}
