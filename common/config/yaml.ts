/**
 * One YAML text as a tree with positions. What is plain is read by a short way (plain-yaml.ts), everything else by the
 * `yaml` package, which is only loaded then. The content is untrusted: nesting, aliases and size are bounded.
 */

import { createRequire } from "node:module";
import type { Node } from "yaml";
import { BackupError, describeError } from "../errors.js";
import type { Diagnostics, Position } from "./diagnostics.js";
import { parsePlainYaml } from "./plain-yaml.js";
import type { ConfigEntry, ConfigNode } from "./source.js";

const MAX_DEPTH = 24;
const MAX_NODES = 200_000;

type YamlDocument = ReturnType<typeof import("yaml").parseDocument>;

const load = createRequire(import.meta.url);

/** The `yaml` package, loaded when it is needed first. */
export const yamlPackage = (): typeof import("yaml") => load("yaml");

/**
 * Parses one YAML text; `file` is what positions are reported under. Returns undefined for an empty file and
 * after syntax errors, which are in `diagnostics` then.
 */
export function parseConfigText(
  file: string,
  text: string,
  diagnostics: Diagnostics,
): ConfigNode | undefined {
  return parsePlainYaml(file, text) ?? parseWholeYaml(file, text, diagnostics);
}

/** The same by the `yaml` package alone. */
export function parseWholeYaml(file: string, text: string, diagnostics: Diagnostics): ConfigNode | undefined {
  const { LineCounter, parseDocument } = yamlPackage();
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (nestedTooDeep(text)) throw new BackupError("CONFIG_INVALID", "brackets are nested too deeply");
  let document: YamlDocument;
  try {
    const options = {
      schema: "failsafe",
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: lines,
    } as const;
    document = parseDocument(text, { ...options, logLevel: "error", keepSourceTokens: false });
  } catch (cause) {
    throw new BackupError("CONFIG_INVALID", `the YAML parser gave up: ${describeError(cause)}`);
  }
  for (const { pos, code, message } of document.errors)
    diagnostics.error(at(pos[0]), yamlMessage(code, message));
  for (const { pos, message } of document.warnings) {
    diagnostics.error(at(pos[0]), `${message}; put quotes around a value that starts with !`);
  }
  if (document.errors.length > 0 || document.warnings.length > 0 || document.contents === null)
    return undefined;
  return new NodeConverter(document, at).convert(document.contents as Node, 0);
}

/** The parser recurses per bracket; more than a few dozen are never meant. */
function nestedTooDeep(text: string): boolean {
  return /(?:[[{]\s*){64}/.test(text) || /(?:- ){64}/.test(text);
}

function yamlMessage(code: string, message: string): string {
  if (code === "MULTIPLE_DOCS") return "a second document (---) starts here; a file holds one document";
  if (code === "TAB_AS_INDENT") return "tab used for indentation; YAML wants blanks";
  return `YAML syntax: ${message.replace(/\s+/g, " ")}`;
}

class NodeConverter {
  readonly #document: YamlDocument;
  readonly #at: (offset: number) => Position;
  #nodes = 0;
  #aliases = 0;

  constructor(document: YamlDocument, at: (offset: number) => Position) {
    this.#document = document;
    this.#at = at;
  }

  /** Throws BackupError `CONFIG_INVALID` when the content is too large once aliases are replaced. */
  convert(node: Node, depth: number): ConfigNode {
    const { isAlias, isMap, isScalar, isSeq } = yamlPackage();
    const at = this.#at(node.range?.[0] ?? 0);
    this.#nodes += 1;
    if (depth > MAX_DEPTH) {
      throw tooMuch(at, "values are nested too deeply; an alias (*name) may contain itself");
    }
    if (this.#nodes > MAX_NODES) throw tooMuch(at, `more than ${MAX_NODES} values once aliases are replaced`);
    if (isAlias(node)) {
      this.#aliases += 1;
      if (this.#aliases > 1000)
        throw tooMuch(at, "more than 1000 aliases (*name); use JobDefs for shared values");
      const target = node.resolve(this.#document) as Node | undefined;
      if (target === undefined) throw tooMuch(at, `alias *${node.source} names no anchor`);
      return this.convert(target, depth + 1);
    }
    if (isScalar(node)) return { kind: "scalar", text: node.value == null ? "" : String(node.value), at };
    if (isSeq(node)) {
      return { kind: "list", items: node.items.map((item) => this.convert(item as Node, depth + 1)), at };
    }
    if (!isMap(node)) throw tooMuch(at, "a value of an unknown kind");
    const entries: ConfigEntry[] = [];
    for (const pair of node.items) {
      const key = pair.key as Node | null;
      const keyAt = this.#at(key?.range?.[0] ?? node.range?.[0] ?? 0);
      if (!isScalar(key)) throw tooMuch(keyAt, "a directive name must be plain text");
      const value = pair.value as Node | null;
      const empty: ConfigNode = { kind: "scalar", text: "", at: keyAt };
      const converted = value === null ? empty : this.convert(value, depth + 1);
      entries.push({ key: String(key.value ?? ""), at: keyAt, value: converted });
    }
    return { kind: "map", entries, at };
  }
}

function tooMuch(at: Position, message: string): BackupError {
  return new BackupError("CONFIG_INVALID", `line ${at.line}: ${message}`);
}
