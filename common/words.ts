/** Splitting a command line into words as a shell would, without a shell: no variables, no wildcards, no pipes. */
import { BackupError } from "./errors.js";

/**
 * Words of `line`: separated by blanks; `'…'` is literal; in `"…"` a backslash keeps `"`, `\`, `$` and `` ` ``
 * from meaning anything; elsewhere a backslash takes the next character as it is.
 * @throws BackupError COMMAND_INVALID when a quote is not closed or a backslash ends the line.
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  const invalid = (what: string): BackupError =>
    new BackupError("COMMAND_INVALID", `command ${JSON.stringify(line)}: ${what}`);
  while (at < line.length) {
    const char = line[at++]!;
    if (char === " " || char === "\t" || char === "\n" || char === "\r") {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= "";
    if (char === "\\") {
      if (at >= line.length) throw invalid("nothing follows the backslash at its end");
      word += line[at++]!;
    } else if (char === "'") {
      const close = line.indexOf("'", at);
      if (close < 0) throw invalid("a ' is not closed");
      word += line.slice(at, close);
      at = close + 1;
    } else if (char === '"') {
      const quoted = readQuoted(line, at);
      if (quoted === undefined) throw invalid('a " is not closed');
      word += quoted.text;
      at = quoted.next;
    } else {
      word += char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The text of a double-quoted part that starts at `at`, and the offset behind its closing quote. */
function readQuoted(line: string, at: number): { text: string; next: number } | undefined {
  let text = "";
  for (let i = at; i < line.length; i++) {
    const char = line[i]!;
    if (char === '"') return { text, next: i + 1 };
    if (char === "\\" && i + 1 < line.length && '"\\$`'.includes(line[i + 1]!)) text += line[++i]!;
    else text += char;
  }
  return undefined;
}
