/**
 * What the words of a directive stand for, by the kind of value the directive takes. Bacula reads as much of a line
 * as the kind needs and passes over the rest; the rest is given back here so that it can be reported.
 */

import { foldName } from "../config/diagnostics.js";
import type { BaculaDirective, BaculaWord } from "./syntax.js";

/** A value and what Bacula does not read of the line. */
export interface ReadText {
  readonly text: string;
  readonly ignored: string;
}

const LETTERS = /^[A-Za-z]+$/;

/**
 * One name or text. Without quotes, words of nothing but letters run together (`Full Set` is `FullSet`, as everywhere
 * else in the file); any other word ends it.
 */
export function textOf(directive: BaculaDirective): ReadText {
  return textOfWords(directive.words);
}

function textOfWords(words: readonly BaculaWord[]): ReadText {
  const quotedTexts = words.filter((word) => word.kind === "quoted");
  // Bareos: several texts in quotes are one.
  if (words[0]?.kind === "quoted" && quotedTexts.length === words.length) {
    return { text: quotedTexts.map((word) => word.text).join(""), ignored: "" };
  }
  if (words[0]?.kind === "quoted") return { text: words[0].text, ignored: lineOf(words.slice(1)) };
  let text = "";
  let taken = 0;
  for (const word of words) {
    if (word.kind !== "word") break;
    text += word.text;
    taken += 1;
    if (!LETTERS.test(word.text)) break;
  }
  return { text, ignored: lineOf(words.slice(taken)) };
}

/** The whole line as one text with single blanks; quotes stay around what needs them. */
export function lineOf(words: readonly BaculaWord[]): string {
  let line = "";
  for (const { kind, text } of words) {
    const shown = kind === "quoted" ? `"${text.replace(/["\\]/g, "\\$&")}"` : text;
    if (kind === "comma" || kind === "equals" || /[=]$/.test(line)) line += shown;
    else line += line === "" ? shown : ` ${shown}`;
  }
  return line;
}

/** Words without quotes, joined by blanks: sizes (`50 G`), times (`3 months`). */
export function plainLineOf(directive: BaculaDirective): string {
  return directive.words.map((word) => word.text).join(" ");
}

/** Texts between commas. */
export function listOf(words: readonly BaculaWord[]): string[] {
  const parts: BaculaWord[][] = [[]];
  for (const word of words) {
    if (word.kind === "comma") parts.push([]);
    else parts.at(-1)!.push(word);
  }
  return parts.map((part) => textOfWords(part).text).filter((text) => text !== "");
}

/** The directives of that name, in any spelling. */
export function named(directives: readonly BaculaDirective[], name: string): BaculaDirective[] {
  const folded = foldName(name);
  return directives.filter((directive) => foldName(directive.name) === folded);
}

/** The last text given for one of the names; undefined when none is given. */
export function givenText(directives: readonly BaculaDirective[], ...names: string[]): string | undefined {
  const found = names.flatMap((name) => named(directives, name)).at(-1);
  return found === undefined ? undefined : textOf(found).text;
}

/** yes, true, on, 1. */
export function isYes(text: string | undefined): boolean {
  return /^(yes|true|on|1)$/i.test(text ?? "");
}

/** Bacula's units in the order in which it looks for one that begins with what is written. */
const TIME_UNITS = ["n", "seconds", "months", "minutes", "mins", "hours", "days", "weeks", "quarters"].concat(
  ["years"],
);

/**
 * A time in words that cannot be misread: `3m` is `3 months` to Bacula, a bare number seconds. What is no time comes
 * back as it was.
 */
export function timeText(text: string): string {
  const parts: string[] = [];
  const pattern = /\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*/iy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return text;
    const unit = TIME_UNITS.find((each) => each.startsWith(match[2]!.toLowerCase()));
    if (unit === undefined) return text;
    const word = match[2] === "" ? "" : unit === "n" || unit === "mins" ? " minutes" : ` ${unit}`;
    parts.push(`${match[1]}${word}`);
  }
  return parts.join(" ");
}
