/**
 * Sessions shown in a document: fenced blocks of the kind `console`. Lines that begin with `> ` are typed, with `>> ` while
 * the output goes to a file; what is typed
 * at a question stands behind it and ends in ` ↵`. All else is printed. All blocks of a document are one session.
 */

const TYPED = "> ";
const UNSEEN = ">> ";
const ANSWERED = " ↵";

/** Of one block: what is typed, and what a console with standard input from a pipe prints then. */
export interface Example {
  /** Number of the block's first line in the document, from 1. */
  at: number;
  typed: string[];
  printed: string;
}

/** The blocks in order. @throws Error for a block that is not ended */
export function consoleExamples(document: string): Example[] {
  const lines = document.split("\n");
  const found: Example[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    if (lines[at] !== "```console") continue;
    const end = lines.indexOf("```", at);
    if (end < 0) throw new Error(`the block in line ${at + 1} is not ended`);
    found.push(exampleOf(lines.slice(at + 1, end), at + 2));
    at = end;
  }
  return found;
}

function exampleOf(lines: readonly string[], at: number): Example {
  const typed: string[] = [];
  const printed = lines.flatMap((line) => {
    if (line.startsWith(UNSEEN)) {
      typed.push(line.slice(UNSEEN.length));
      return [];
    }
    if (line.startsWith(TYPED)) {
      typed.push(line.slice(TYPED.length));
      return line.slice(TYPED.length);
    }
    if (!line.endsWith(ANSWERED)) return line;
    const plain = line.slice(0, -ANSWERED.length);
    // An answer holds neither of the two ways in which a question ends.
    const question = /^(?:\$ |.*: ?)(?=[^:]*$)/.exec(plain)?.[0] ?? "";
    typed.push(plain.slice(question.length));
    return plain;
  });
  return { at, typed, printed: printed.map((line) => `${line}\n`).join("") };
}

/** What differs from run to run. */
const MASKS: readonly (readonly [RegExp, string])[] = [
  [/^You have messages\.\n/gm, ""],
  [/\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d_\d\d/g, "RUN"],
  [/\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?/g, "DATE"],
  [/\d\d-[A-Z][a-z]{2}-\d{2,4} \d\d:\d\d(:\d\d)?/g, "DATE"],
  [/^\d\d-[A-Z][a-z]{2} \d\d:\d\d /gm, "DATE "],
  [/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) DATE/gm, "DAY DATE"],
  [/^( {2}Elapsed time: +).*/gm, "$1N"],
  [/^( {2}Rate: +).*/gm, "$1N"],
  [/^( {2}Build OS: +).*/gm, "$1OS"],
  [/A A [A-Za-z0-9+/ -]{20,}(?=\t)/g, "LSTAT"],
  [/^(duration=)\d+/gm, "$1N"],
  // Counts and numbers of jobs, which do not change, have one or two digits.
  [/\b\d[\d,.]+\d\b/g, "N"],
  [/^\+(?:-+\+)+$/gm, "+"],
  [/ +\|/g, " |"],
  [/(?<=\S) {2,}(?=N|DATE)/g, " "],
];

/** Text without what differs from run to run, and without the padding of tables. */
export function maskedPrint(text: string): string {
  return MASKS.reduce((masked, [pattern, token]) => masked.replace(pattern, token), text);
}
