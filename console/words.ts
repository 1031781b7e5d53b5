/** Words of an @-command: separated by blanks, `"…"` holds blanks, `\` makes the next character ordinary. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /(?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*(?:"|$))+/g;
  for (const [word] of line.matchAll(pattern)) {
    words.push(word.replace(/\\(.)|"/g, (_all, escaped: string | undefined) => escaped ?? ""));
  }
  return words;
}
