/**
 * The characters of a configuration with its includes: a stack of files, each with its place. The content is
 * untrusted: depth, number of files and their size are bounded, and a file never includes itself.
 */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { type Diagnostics, type Position, quoted } from "../config/diagnostics.js";
import { BackupError, describeError } from "../errors.js";
import type { SkippedCommand } from "./syntax.js";

const MAX_DEPTH = 16;
const MAX_FILES = 10_000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
/** Includes that cannot be read, or are commands, after which nobody reads the rest of the list. */
const MAX_MISSED = 1000;

interface OpenFile {
  readonly name: string;
  readonly includedBy: OpenFile | undefined;
  readonly text: string;
  offset: number;
  line: number;
  column: number;
}

export class SourceStack {
  readonly files = new Set<string>();
  readonly commands: SkippedCommand[] = [];
  readonly latin1Files: string[] = [];
  readonly #diagnostics: Diagnostics;
  readonly #open: OpenFile[] = [];
  #totalBytes = 0;
  #reads = 0;
  #missed = 0;

  constructor(diagnostics: Diagnostics) {
    this.#diagnostics = diagnostics;
  }

  /** Opens a file that the operator named. @throws BackupError CONFIG_NOT_FOUND, CONFIG_INVALID */
  start(file: string): void {
    try {
      this.#push(file, undefined);
    } catch (cause) {
      if (cause instanceof BackupError) throw cause;
      const message = `cannot read configuration ${describeError(cause)}`;
      throw new BackupError("CONFIG_NOT_FOUND", message, { context: { file } });
    }
  }

  /** Where the next character stands; in the last file once all are at their end. */
  get position(): Position {
    const current = this.#open.at(-1);
    if (current === undefined) return { file: [...this.files].at(-1) ?? "", line: 0, column: 0 };
    const { name, line, column } = current;
    return { file: name, line, column };
  }

  /** The next character, not taken; `\n` once at the end of every file, "" at the end of all. */
  peek(): string {
    const current = this.#open.at(-1);
    if (current === undefined) return "";
    return current.offset < current.text.length ? current.text.charAt(current.offset) : "\n";
  }

  /** The character behind the next one in the same file; "" at its end. */
  peekSecond(): string {
    const current = this.#open.at(-1);
    return current?.text.charAt(current.offset + 1) ?? "";
  }

  take(): string {
    const current = this.#open.at(-1);
    if (current === undefined) return "";
    if (current.offset >= current.text.length) {
      this.#open.pop();
      return "\n";
    }
    const character = current.text.charAt(current.offset);
    current.offset += 1;
    if (character === "\n") {
      current.line += 1;
      current.column = 1;
    } else {
      current.column += 1;
    }
    return character;
  }

  /** `@name`: the file, or all that match `*` and `?` in its last part, relative to the file that names it. */
  include(name: string, at: Position): void {
    if (name.startsWith("|")) {
      this.#miss();
      this.commands.push({ command: name.slice(1).trim(), at });
      return;
    }
    const pattern = path.resolve(path.dirname(at.file), name);
    try {
      const includer = this.#open.at(-1);
      // The last one pushed is read first.
      for (const file of matches(pattern).toReversed()) this.#includeOne(file, includer);
    } catch (error) {
      this.#miss();
      this.#diagnostics.error(at, `cannot read the include ${quoted(name)}: ${describeError(error)}`);
    }
  }

  #miss(): void {
    this.#missed += 1;
    if (this.#missed > MAX_MISSED) {
      throw new BackupError("CONFIG_INVALID", `more than ${MAX_MISSED} includes that cannot be read`);
    }
  }

  #includeOne(file: string, includer: OpenFile | undefined): void {
    let depth = 0;
    for (let open = includer; open !== undefined; open = open.includedBy) {
      depth += 1;
      if (open.name === file) throw new BackupError("CONFIG_INVALID", `${file} includes itself`);
    }
    if (depth >= MAX_DEPTH) {
      throw new BackupError("CONFIG_INVALID", `includes are nested more than ${MAX_DEPTH} deep`);
    }
    this.#push(file, includer);
  }

  #push(file: string, includedBy: OpenFile | undefined): void {
    const name = path.resolve(file);
    this.#reads += 1;
    if (this.#reads > MAX_FILES) throw new BackupError("CONFIG_INVALID", `more than ${MAX_FILES} files`);
    const status = statSync(name);
    if (!status.isFile()) throw new BackupError("CONFIG_INVALID", `${name}: not a regular file`);
    this.#totalBytes += status.size;
    if (status.size > MAX_FILE_BYTES || this.#totalBytes > MAX_TOTAL_BYTES) {
      throw new BackupError("CONFIG_INVALID", `${name}: too large for a configuration`);
    }
    const { text, isLatin1 } = decode(readFileSync(name));
    if (!this.files.has(name)) {
      this.files.add(name);
      this.#diagnostics.addFile(name);
      if (isLatin1) this.latin1Files.push(name);
    }
    this.#open.push({ name, includedBy, text, offset: 0, line: 1, column: 1 });
  }
}

/** UTF-8 with or without a mark at its start, UTF-16 with one, else ISO 8859-1. Line ends become `\n`. */
export function decode(bytes: Buffer): { text: string; isLatin1: boolean } {
  const clean = (text: string): string => text.replace(/\r\n?/g, "\n");
  if (bytes[0] === 0xff && bytes[1] === 0xfe) {
    return { text: clean(new TextDecoder("utf-16le").decode(bytes)), isLatin1: false };
  }
  try {
    return { text: clean(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), isLatin1: false };
  } catch {
    return { text: clean(bytes.toString("latin1")), isLatin1: true };
  }
}

/** The files a name stands for, sorted; `*` and `?` in any part; a directory stands for its *.conf. @throws system errors */
function matches(pattern: string): string[] {
  let found = ["/"];
  for (const part of pattern.split("/").filter((each) => each !== "")) {
    found = /[*?]/.test(part)
      ? found.flatMap((directory) => (isDirectory(directory) ? filesOf(directory, part) : []))
      : found.map((directory) => path.join(directory, part));
    if (found.length > MAX_FILES) throw new BackupError("CONFIG_INVALID", `more than ${MAX_FILES} files`);
  }
  // A name without wildcards must be there; what they bring may be gone again or lack the rest of the path.
  if (/[*?]/.test(pattern)) return found.filter((file) => existsSync(file) && !isDirectory(file));
  return found.flatMap((file) => (statSync(file).isDirectory() ? filesOf(file, "*.conf") : [file]));
}

function isDirectory(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Files of a directory whose name fits a pattern of `*` and `?`, sorted; hidden ones do not count. */
export function filesOf(directory: string, pattern: string): string[] {
  const names = readdirSync(directory).filter((name) => !name.startsWith(".") && fits(name, pattern));
  return names.sort().map((name) => path.join(directory, name));
}

/** Matching without backtracking further than the last `*`. */
function fits(name: string, pattern: string): boolean {
  let [at, p, star, restart] = [0, 0, -1, 0];
  while (at < name.length) {
    if (pattern[p] === "*") {
      star = p;
      p += 1;
      restart = at;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[at])) {
      p += 1;
      at += 1;
    } else if (star >= 0) {
      p = star + 1;
      restart += 1;
      at = restart;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(p));
}
