/**
 * Compares what a console printed with a file, line by line. In the file only what differs from run to run is a named
 * pattern, `%{date}`; everything else has to be equal. Lines `You have messages.` are left out: they come when a job happens to have
 * some. Padding and borders of tables are checked by their alignment.
 */

/** What each name stands for. `%{root}` and the like come from the test. */
const PATTERNS: Readonly<Record<string, string>> = {
  // 2026-11-22 03:04:05
  date: "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d",
  // 22-Nov-2026 03:04:05
  when: "\\d\\d-[A-Z][a-z]{2}-\\d{4} \\d\\d:\\d\\d:\\d\\d",
  // 22-Nov 03:04, at the beginning of messages
  stamp: "\\d\\d-[A-Z][a-z]{2} \\d\\d:\\d\\d",
  // 22-Nov-26 03:04, in status
  finished: "\\d\\d-[A-Z][a-z]{2}-\\d\\d \\d\\d:\\d\\d",
  // The end of Job.2026-11-22_03.04.05_07
  run: "\\d{4}-\\d\\d-\\d\\d_\\d\\d\\.\\d\\d\\.\\d\\d_\\d\\d",
  ymd: "\\d{4}-\\d\\d-\\d\\d",
  day: "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
  n: "\\d+",
  // A number in a column that is aligned to the right
  padded: " +\\d+",
  // With separators, or in a unit
  bytes: "\\d{1,3}(?:,\\d{3})*",
  size: "\\d+(?:\\.\\d+)? ?[KMGT]?i?B",
  rate: "\\d+\\.\\d",
  secs: "\\d+ secs?",
  version: "\\d+\\.\\d+\\.\\d+",
  system: "x86_64-linux [\\w.-]+",
  lstat: "[0-9A-Za-z+/-]+(?: [0-9A-Za-z+/-]+){13,15}",
};

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

/** A table's lines without their padding. */
function withoutPadding(line: string): string {
  if (/^\+(?:-+\+)+$/.test(line)) return line.replace(/-+/g, "-");
  if (/^\|.*\|$/.test(line)) return line.replace(/ +\|/g, " |");
  return line;
}

function lineRegExp(line: string, values: Readonly<Record<string, string>>): RegExp {
  const source = line
    .split(/(%\{\w+\})/)
    .map((part) => {
      const name = /^%\{(\w+)\}$/.exec(part)?.[1];
      if (name === undefined) return escaped(part);
      const value = values[name];
      const pattern = value === undefined ? PATTERNS[name] : escaped(value);
      if (pattern === undefined) throw new Error(`%{${name}} is not known, in: ${line}`);
      return pattern;
    })
    .join("");
  return new RegExp(`^${source}$`);
}

/** Lines of tables that are longer or shorter than the first one. `list files` prints names as they come. */
export function crookedTables(text: string): string[] {
  const found: string[] = [];
  let width = 0;
  let borders = 0;
  for (const line of text.split("\n")) {
    if (!/^[+|].*[+|]$/.test(line) || borders === 3) width = borders = 0;
    if (!/^[+|].*[+|]$/.test(line)) continue;
    if (line.startsWith("+")) borders += 1;
    if (width === 0) width = [...line].length;
    else if (line === "| Filename |") width = Number.POSITIVE_INFINITY;
    else if (width < Number.POSITIVE_INFINITY && [...line].length !== width) found.push(line);
  }
  return found;
}

/**
 * What is wrong with the first line that is not as expected, with the lines around it; undefined when all are.
 * @throws Error for a pattern that is not known
 */
export function transcriptDifference(
  actual: string,
  expected: string,
  values: Readonly<Record<string, string>>,
): string | undefined {
  const there = actual.split("\n").filter((line) => line !== "You have messages.");
  const wanted = expected.split("\n");
  for (const [at, line] of wanted.entries()) {
    if (at < there.length && lineRegExp(withoutPadding(line), values).test(withoutPadding(there[at]!)))
      continue;
    const before = there.slice(Math.max(0, at - 12), at).join("\n");
    const after = there.slice(at, at + 4).join("\n");
    return `line ${at + 1} should be\n${line}\nand is the first of\n${after}\nafter\n${before}`;
  }
  const at = wanted.length;
  return at < there.length ? `behind the end:\n${there.slice(at).join("\n")}` : undefined;
}
