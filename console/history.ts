/** Command history between sessions: one command a line, oldest first, readable by its owner alone. */
import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Lines kept. */
export const HISTORY_LINES = 1000;

/** Where it lies: BASALT_HISTORY, else a file in the home. */
export function historyFile(): string {
  return process.env.BASALT_HISTORY ?? join(homedir(), ".basalt_console_history");
}

/** Newest first, as readline wants it. Nothing when there is none yet or it cannot be read. */
export function loadHistory(file: string): string[] {
  try {
    const lines = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    return lines.slice(-HISTORY_LINES).reverse();
  } catch {
    return [];
  }
}

/** Writes `lines` (newest first). A home that cannot be written to costs the history, nothing else. */
export function saveHistory(file: string, lines: readonly string[]): void {
  const temporary = `${file}.${process.pid}`;
  try {
    const text = lines
      .slice(0, HISTORY_LINES)
      .reverse()
      .map((line) => `${line}\n`)
      .join("");
    writeFileSync(temporary, text, { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, file);
  } catch {
    // See above.
  }
}
