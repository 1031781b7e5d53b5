/**
 * Resources are the top-level keys of a configuration; each holds one map of directives or a list of them.
 * This reads them by kind, checks names, and looks up references between them.
 */

import path from "node:path";
import { type Diagnostics, foldName, type Position, quoted, suggestion } from "./diagnostics.js";
import type { ConfigEntry, ConfigNode, ConfigSource } from "./source.js";
import {
  type Block,
  type BlockSpec,
  type Directive,
  type Reference,
  readBlock,
  scalar,
  shownName,
} from "./spec.js";

type Directives = Record<string, Directive<unknown>>;

/** A resource as read: its directives, its name, and where it starts. */
export interface Resource<D extends Directives> extends Block<D> {
  readonly name: string;
  /** Absolute directory of the file it stands in; relative paths start there. */
  readonly directory: string;
}

export type ResourceOf<S> = S extends BlockSpec<infer D> ? Resource<D> : never;

/** All resources of a configuration, by kind; each Map is keyed by Name in file order. */
export type ResourceMaps<K extends Record<string, BlockSpec<Directives>>> = {
  readonly [N in keyof K]: ReadonlyMap<string, ResourceOf<K[N]>>;
};

const NAME = /^[A-Za-z0-9][A-Za-z0-9 :._$@+-]*$/;

function checkName(text: string): string {
  const name = text.trim();
  if (NAME.test(name) && name.length <= 127) return name;
  throw new Error(`${quoted(text)} is not a name (letters, digits, blanks and : . _ - $ @ +; at most 127)`);
}

/** The Name directive. */
export const resourceName = (): Directive<string> => scalar(checkName);

/** Resources of other suites' files that exist here in another form, with the reason: a warning. */
export type IgnoredResources = Readonly<Record<string, string>>;

/** Reads every entry of the source as one of `kinds` (by name as shown in messages). */
export function readResources<K extends Record<string, BlockSpec<Directives>>>(
  source: ConfigSource,
  kinds: K,
  diagnostics: Diagnostics,
  ignored: IgnoredResources = {},
): ResourceMaps<K> {
  const maps: Record<string, Map<string, Resource<Directives>>> = {};
  for (const kind of Object.keys(kinds)) maps[kind] = new Map();
  const first = new Map<string, Position>();
  for (const entry of source.entries) {
    const kind = Object.keys(kinds).find((name) => foldName(name) === foldName(entry.key));
    if (kind === undefined) {
      reportUnknown(entry, Object.keys(kinds), { diagnostics, ignored });
      continue;
    }
    const earlier = first.get(`${entry.at.file}\0${kind}`);
    if (earlier !== undefined) {
      const hint = `first in line ${earlier.line}; write all as one list: ${kind}: [{…}, {…}]`;
      diagnostics.error(entry.at, `${quoted(entry.key)} is given twice in one file (${hint})`);
    }
    first.set(`${entry.at.file}\0${kind}`, entry.at);
    for (const node of entry.value.kind === "list" ? entry.value.items : [entry.value]) {
      readOne(node, { kind, spec: kinds[kind]!, known: maps[kind]!, diagnostics });
    }
  }
  return maps as unknown as ResourceMaps<K>;
}

function reportUnknown(
  entry: ConfigEntry,
  kinds: readonly string[],
  { diagnostics, ignored }: { diagnostics: Diagnostics; ignored: IgnoredResources },
): void {
  const reason = Object.entries(ignored).find(([name]) => foldName(name) === foldName(entry.key))?.[1];
  if (reason !== undefined) {
    diagnostics.warning(entry.at, `resource ${quoted(entry.key)} has no effect: ${reason}`);
    return;
  }
  const hint = suggestion(entry.key, [...kinds, "Include"]);
  const list = hint === "" ? `; known are ${kinds.join(", ")}` : hint;
  diagnostics.error(entry.at, `unknown resource ${quoted(entry.key)}${list}`);
}

interface Target {
  readonly kind: string;
  readonly spec: BlockSpec<Directives>;
  readonly known: Map<string, Resource<Directives>>;
  readonly diagnostics: Diagnostics;
}

function readOne(node: ConfigNode, { kind, spec, known, diagnostics }: Target): void {
  if (node.kind !== "map") {
    if (node.kind === "scalar" && node.text === "") return;
    const found = node.kind === "list" ? "a list in a list" : quoted(node.text);
    diagnostics.error(node.at, `${kind}: a map of directives expected ({Name: …}), this is ${found}`);
    return;
  }
  const nameNode = node.entries.find((entry) => foldName(entry.key) === "name")?.value;
  const shown =
    nameNode?.kind === "scalar" && nameNode.text !== "" ? `${kind} ${quoted(nameNode.text)}` : kind;
  const block = readBlock(node, spec, { diagnostics, place: shown });
  if (!block.positions.has("name")) {
    diagnostics.error(node.at, `this ${kind} has no Name`);
    return;
  }
  const name = block.values.name;
  if (typeof name !== "string") return;
  const twin = known.get(name);
  if (twin !== undefined) {
    const place = `${twin.at.file}:${twin.at.line}:${twin.at.column}`;
    diagnostics.error(nameNode?.at ?? node.at, `${kind} ${quoted(name)} is defined twice; first at ${place}`);
    return;
  }
  known.set(name, { ...block, name, directory: path.dirname(path.resolve(node.at.file)) });
}

/** Reports each of `properties` that the block does not have; false when one is missing. */
export function requireDirectives(
  resource: Block<Directives>,
  properties: readonly string[],
  diagnostics: Diagnostics,
): boolean {
  const missing = properties.filter((property) => !resource.positions.has(property));
  for (const property of missing) {
    diagnostics.error(resource.at, `${resource.place} needs the directive ${shownName(property)}`);
  }
  return missing.length === 0;
}

/** Reports a reference to a name that `known` does not have; gives the name either way. */
export function checkReference(
  reference: Reference | undefined,
  kind: string,
  known: ReadonlyMap<string, unknown>,
  diagnostics: Diagnostics,
): string | undefined {
  if (reference === undefined) return undefined;
  if (!known.has(reference.name)) {
    const others = [...known.keys()];
    const few = others.length === 0 ? `; no ${kind} is defined at all` : `; defined: ${others.join(", ")}`;
    const hint = suggestion(reference.name, others) || (others.length <= 6 ? few : "");
    const where = `${reference.directive} in ${reference.place}`;
    diagnostics.error(reference.at, `${where}: ${kind} ${quoted(reference.name)} is not defined${hint}`);
  }
  return reference.name;
}

/** The only resource of a kind; none, or a second one, is reported. */
export function single<R extends { name: string; at: Position }>(
  kind: string,
  found: ReadonlyMap<string, R>,
  { file, diagnostics }: { file: string; diagnostics: Diagnostics },
): R | undefined {
  const [first, ...others] = found.values();
  if (first === undefined) diagnostics.error({ file, line: 0, column: 0 }, `the resource ${kind} is missing`);
  for (const other of others) {
    diagnostics.error(other.at, `a second ${kind} ${quoted(other.name)}; there can be only one`);
  }
  return first;
}

/** An object and all it holds, made read-only; Maps are left to their ReadonlyMap type. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) for (const inner of value.values()) deepFreeze(inner);
  else for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
