/**
 * Findings about configuration files: where, what is wrong, and the nearest name that would have been right.
 * All findings of a load are collected and reported together.
 */

import { BackupError } from "../errors.js";

/** A place in a file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly at: Position;
  readonly message: string;
}

/** `director.yaml:12:5: unknown directive "Shedule" in Job "web1"; did you mean "Schedule"?` */
export function formatDiagnostic({ severity, at, message }: Diagnostic): string {
  const place = at.line > 0 ? `${at.file}:${at.line}:${at.column}` : at.file;
  return `${place}: ${severity === "warning" ? "warning: " : ""}${message}`;
}

/** Collects the findings of one load. Repeats of the same finding are dropped. */
export class Diagnostics {
  readonly #list: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  readonly #files: string[] = [];

  /** Sets the order of files in reports; a file not named here comes after all that are. */
  addFile(file: string): void {
    this.#files.push(file);
  }

  error(at: Position, message: string): void {
    this.#add({ severity: "error", at, message });
  }

  warning(at: Position, message: string): void {
    this.#add({ severity: "warning", at, message });
  }

  /** All findings so far, by file in reading order, then by line and column. */
  get all(): readonly Diagnostic[] {
    const files = [...new Set([...this.#files, ...this.#list.map((found) => found.at.file)])];
    return this.#list.toSorted(
      (a, b) =>
        files.indexOf(a.at.file) - files.indexOf(b.at.file) ||
        a.at.line - b.at.line ||
        a.at.column - b.at.column,
    );
  }

  get errors(): readonly Diagnostic[] {
    return this.all.filter((found) => found.severity === "error");
  }

  get warnings(): readonly Diagnostic[] {
    return this.all.filter((found) => found.severity === "warning");
  }

  #add(found: Diagnostic): void {
    const text = formatDiagnostic(found);
    if (this.#seen.has(text)) return;
    this.#seen.add(text);
    this.#list.push(found);
  }
}

/** Thrown when a configuration cannot be used; the message holds every finding, one a line. */
export class ConfigError extends BackupError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(file: string, diagnostics: readonly Diagnostic[]) {
    super("CONFIG_INVALID", diagnostics.map(formatDiagnostic).join("\n"), { context: { file } });
    this.name = "ConfigError";
    this.diagnostics = diagnostics;
  }
}

/** A value as it is shown in a message: quoted, shortened, without control characters. */
export function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : String(value);
  const clean = text.replace(/[\u0000-\u001f\u007f]+/g, " ");
  return `"${clean.length > 60 ? `${clean.slice(0, 57)}...` : clean}"`;
}

/** `; did you mean "Schedule"?`, or nothing when no known name is near. */
export function suggestion(wrong: string, known: Iterable<string>): string {
  const near = nearestName(wrong, known);
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

/** The known name that is fewest edits away, when that is few enough to be a slip of the fingers. */
export function nearestName(wrong: string, known: Iterable<string>): string | undefined {
  const target = foldName(wrong);
  if (target.length > 100) return undefined;
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const candidate = foldName(name);
    const limit = Math.max(1, Math.floor(Math.max(target.length, candidate.length) / 3));
    const distance = editDistance(target, candidate);
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

/** Names are compared the way Bacula compares directive names: without case, blanks, `_` and `-`. */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/[\s_-]+/g, "");
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let value = Math.min(current[column - 1]! + 1, previous[column]! + 1, previous[column - 1]! + cost);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        value = Math.min(value, beforePrevious[column - 2]! + 1);
      }
      current.push(value);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
