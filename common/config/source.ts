/**
 * Reads YAML configuration files into top-level entries with positions: one file, or every *.yaml of a
 * directory, and what they include. The content is treated as untrusted: size, nesting and aliases are bounded.
 *
 * `Include:` at the top level names further files, relative to the file it stands in, with `*` and `?` in the
 * last part: `Include: ["@conf.d/*.yaml"]`. The `@` is Bacula's and optional. A pattern may match nothing.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { BackupError, describeError } from "../errors.js";
import { type Diagnostics, foldName, type Position, quoted } from "./diagnostics.js";
import { parseConfigText } from "./yaml.js";

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_FILES = 10_000;

/** A YAML value with all aliases replaced; scalars are kept as they are written. */
export type ConfigNode =
  | { readonly kind: "scalar"; readonly text: string; readonly at: Position }
  | { readonly kind: "list"; readonly items: readonly ConfigNode[]; readonly at: Position }
  | { readonly kind: "map"; readonly entries: readonly ConfigEntry[]; readonly at: Position };

export interface ConfigEntry {
  readonly key: string;
  readonly at: Position;
  readonly value: ConfigNode;
}

export interface ConfigSource {
  /** Absolute path that was asked for. */
  readonly file: string;
  /** Absolute paths of all files read, in order. */
  readonly files: readonly string[];
  readonly entries: readonly ConfigEntry[];
}

/**
 * Reads `file` and its includes; findings go to `diagnostics`.
 * Throws BackupError `CONFIG_NOT_FOUND` only when `file` itself cannot be read.
 */
export function readConfigSource(file: string, diagnostics: Diagnostics): ConfigSource {
  const reader = new SourceReader(diagnostics);
  for (const start of startFiles(file)) reader.read(start, undefined);
  return { file: path.resolve(file), files: [...reader.files], entries: reader.entries };
}

function startFiles(file: string): string[] {
  try {
    if (!statSync(file).isDirectory()) return [file];
    const found = yamlFilesOf(file);
    if (found.length > 0) return found;
  } catch (cause) {
    throw new BackupError("CONFIG_NOT_FOUND", `cannot read configuration ${describeError(cause)}`, {
      context: { file },
    });
  }
  throw new BackupError("CONFIG_NOT_FOUND", `${file}: the directory holds no *.yaml file`, {
    context: { file },
  });
}

function yamlFilesOf(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => !name.startsWith(".") && /\.ya?ml$/.test(name));
  return names.sort().map((name) => path.join(directory, name));
}

class SourceReader {
  readonly entries: ConfigEntry[] = [];
  readonly files = new Set<string>();
  readonly #diagnostics: Diagnostics;

  constructor(diagnostics: Diagnostics) {
    this.#diagnostics = diagnostics;
  }

  /** `from` is where the file is named by an Include, undefined for what the operator named. */
  read(file: string, from: Position | undefined): void {
    const absolute = path.resolve(file);
    if (this.files.has(absolute)) {
      if (from !== undefined) this.#diagnostics.error(from, `Include: ${quoted(file)} is read already`);
      return;
    }
    if (this.files.size >= MAX_FILES)
      throw new BackupError("CONFIG_INVALID", `${file}: too many included files`);
    this.files.add(absolute);
    this.#diagnostics.addFile(file);
    const root = this.#parse(file, from);
    if (root === undefined) return;
    if (root.kind !== "map") {
      const found = root.kind === "list" ? "a list" : `the text ${quoted(root.text)}`;
      this.#diagnostics.error(root.at, `the file must be a map of resources (Job: …), this is ${found}`);
      return;
    }
    for (const entry of root.entries) {
      if (foldName(entry.key) === "include") this.#include(file, entry.value);
      else this.entries.push(entry);
    }
  }

  #parse(file: string, from: Position | undefined): ConfigNode | undefined {
    const at = from ?? { file, line: 0, column: 0 };
    try {
      return parseConfigText(file, readText(file), this.#diagnostics);
    } catch (error) {
      if (error instanceof BackupError) {
        this.#diagnostics.error({ file, line: 0, column: 0 }, error.message);
      } else if (from === undefined) {
        throw new BackupError("CONFIG_NOT_FOUND", `cannot read configuration ${describeError(error)}`);
      } else {
        this.#diagnostics.error(at, `Include: ${describeError(error)}`);
      }
      return undefined;
    }
  }

  #include(file: string, value: ConfigNode): void {
    for (const item of value.kind === "list" ? value.items : [value]) {
      if (item.kind !== "scalar" || item.text.trim() === "") {
        this.#diagnostics.error(item.at, 'Include takes file names, such as "@conf.d/*.yaml"');
        continue;
      }
      const name = item.text.trim().replace(/^@/, "");
      const pattern = path.isAbsolute(name) ? name : path.join(path.dirname(file), name);
      for (const match of this.#matches(pattern, item.at)) this.read(match, item.at);
    }
  }

  #matches(pattern: string, at: Position): string[] {
    const name = path.basename(pattern);
    const directory = path.dirname(pattern);
    if (/[*?]/.test(directory)) {
      this.#diagnostics.error(at, `Include: ${quoted(pattern)}: * and ? work in the file name only`);
      return [];
    }
    if (!/[*?]/.test(name)) return [pattern];
    const wanted = new RegExp(`^${[...name].map(globPart).join("")}$`, "u");
    try {
      const names = readdirSync(directory).filter((found) => !found.startsWith(".") && wanted.test(found));
      return names.sort().map((found) => path.join(directory, found));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENOENT") this.#diagnostics.error(at, `Include: ${describeError(error)}`);
      return [];
    }
  }
}

function globPart(character: string): string {
  if (character === "*") return ".*";
  if (character === "?") return ".";
  return character.replace(/[\\^$.+()[\]{}|/-]/, "\\$&");
}

function readText(file: string): string {
  const status = statSync(file);
  if (!status.isFile()) throw new BackupError("CONFIG_INVALID", "not a regular file");
  if (status.size > MAX_FILE_BYTES) {
    throw new BackupError("CONFIG_INVALID", `larger than ${MAX_FILE_BYTES} bytes; split it with Include`);
  }
  const bytes = readFileSync(file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new BackupError("CONFIG_INVALID", "not UTF-8 text");
  }
}
