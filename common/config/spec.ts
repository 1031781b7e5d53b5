/**
 * Describes blocks of directives and reads them: names are matched as Bacula matches them, values are checked
 * by parsers of the text as written, and every finding gets the position of what caused it.
 */

import { describeError } from "../errors.js";
import { parseDuration, parseSize, parseSpeed, parseYesNo } from "../units.js";
import { type Diagnostics, foldName, type Position, quoted, suggestion } from "./diagnostics.js";
import type { ConfigEntry, ConfigNode } from "./source.js";

/** Where reading is: the directive for messages, the block it stands in, and where findings go. */
export interface ReadContext {
  readonly diagnostics: Diagnostics;
  /** `Job "web1"`, `Options of FileSet "Full Set"`. */
  readonly place: string;
  /** `MaxRunTime` */
  readonly directive: string;
}

/** Reads one directive's value; after reporting a finding it returns undefined. */
export type Directive<T> = (node: ConfigNode, context: ReadContext) => T | undefined;

export interface BlockSpec<D extends Record<string, Directive<unknown>>> {
  /** By property name; shown with a capital first letter. */
  readonly directives: D;
  /** Other spellings, as shown, to property names. */
  readonly aliases?: Readonly<Record<string, keyof D & string>>;
  /** Known from Bacula but without effect here, with the reason: a warning, not an error. */
  readonly noEffect?: Readonly<Record<string, string>>;
}

/** Values that were given in one block; what is missing or was wrong is absent. */
export interface Block<D extends Record<string, Directive<unknown>>> {
  readonly at: Position;
  readonly place: string;
  readonly values: { readonly [K in keyof D]?: NonNullable<ReturnType<D[K]>> };
  /** Where each given directive stands, including those whose value was wrong. */
  readonly positions: ReadonlyMap<string, Position>;
}

export type BlockOf<S> = S extends BlockSpec<infer D> ? Block<D> : never;

/** Use of another resource's name. */
export interface Reference {
  readonly name: string;
  readonly at: Position;
  readonly directive: string;
  readonly place: string;
}

/** `maxRunTime` as it is shown: `MaxRunTime`. */
export function shownName(property: string): string {
  return property.charAt(0).toUpperCase() + property.slice(1);
}

function fail(node: ConfigNode, { diagnostics, directive, place }: ReadContext, message: string): undefined {
  diagnostics.error(node.at, `${directive} in ${place}: ${message}`);
  return undefined;
}

function kindOf(node: ConfigNode): string {
  return node.kind === "scalar"
    ? `the value ${quoted(node.text)}`
    : node.kind === "list"
      ? "a list"
      : "a map";
}

/** One value, made of its text by `parse`, which throws with what is wrong, such as the parsers of common/units.ts. */
export function scalar<T>(parse: (text: string) => T): Directive<T> {
  return (node, context) => {
    if (node.kind !== "scalar") return fail(node, context, `one value expected, this is ${kindOf(node)}`);
    if (node.text === "") return fail(node, context, "the value is missing");
    try {
      return parse(node.text);
    } catch (error) {
      return fail(node, context, describeError(error));
    }
  };
}

export const text = (): Directive<string> => scalar((text) => text);
export const yesNo = (): Directive<boolean> => scalar(parseYesNo);
export const duration = (): Directive<number> => scalar(parseDuration);
export const size = (): Directive<number> => scalar(parseSize);
export const speed = (): Directive<number> => scalar(parseSpeed);

/** A whole number in a range, both ends included. */
export function integer(min: number, max: number): Directive<number> {
  const message = `is not a whole number from ${min} to ${max}`;
  const check = (value: string): number => {
    const number = /^[+-]?\d{1,15}$/.test(value.trim()) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Error(`${quoted(value)} ${message}`);
    return number;
  };
  return scalar(check);
}

export const port = (): Directive<number> => integer(1, 65535);

/** One of several words, matched like directive names; gives the word as spelled here, or what it maps to. */
export function oneOf<T>(words: Readonly<Record<string, T>>): Directive<T> {
  const known = new Map(Object.entries(words).map(([word, value]) => [foldName(word), value]));
  const check = (value: string): T => {
    const found = known.get(foldName(value));
    if (found !== undefined) return found;
    const names = Object.keys(words);
    throw new Error(`${quoted(value)} is not one of ${names.join(", ")}${suggestion(value, names)}`);
  };
  return scalar(check);
}

/** Words that stand for themselves. */
export function words<const W extends string>(...list: W[]): Directive<W> {
  return oneOf(Object.fromEntries(list.map((word) => [word, word])) as Record<W, W>);
}

/** A list, or one value standing for a list of one. */
export function listOf<T>(item: Directive<T>): Directive<readonly T[]> {
  return (node, context) => {
    const items = node.kind === "list" ? node.items : [node];
    return items.map((each) => item(each, context)).filter((each) => each !== undefined);
  };
}

/** Like listOf(text()), where one text may also hold several, separated by commas. */
export function commaList(): Directive<readonly string[]> {
  const inner = listOf(text());
  return (node, context) => {
    if (node.kind === "scalar" && node.text.trim() === "") return [];
    return inner(node, context)?.flatMap((item) =>
      item
        .split(",")
        .map((part) => part.trim())
        .filter(Boolean),
    );
  };
}

/** The name of another resource, to be looked up when all are known. */
export function reference(): Directive<Reference> {
  const name = text();
  return (node, context) => {
    const value = name(node, context);
    return value === undefined
      ? undefined
      : { name: value, at: node.at, directive: context.directive, place: context.place };
  };
}

/** Names of other resources: a list, or one text with commas between them. */
export function references(): Directive<readonly Reference[]> {
  const one = reference();
  const all = listOf((node, context) => {
    const texts = node.kind === "scalar" ? node.text.split(",") : [""];
    if (texts.length === 1) return [one(node, context)];
    return texts.map((text) => one({ kind: "scalar", text: text.trim(), at: node.at }, context));
  });
  return (node, context) =>
    all(node, context)
      ?.flat()
      .filter((each) => each !== undefined);
}

/** A block of further directives. */
export function block<D extends Record<string, Directive<unknown>>>(spec: BlockSpec<D>): Directive<Block<D>> {
  return (node, context) => {
    if (node.kind !== "map")
      return fail(node, context, `a map of directives expected, this is ${kindOf(node)}`);
    const { diagnostics } = context;
    return readBlock(node, spec, { diagnostics, place: `${context.directive} of ${context.place}` });
  };
}

type MapNode = Extract<ConfigNode, { kind: "map" }>;

/** Reads the directives of one map, except `Description`, which is a remark; unknown, repeated and wrong ones are reported. */
export function readBlock<D extends Record<string, Directive<unknown>>>(
  node: MapNode,
  spec: BlockSpec<D>,
  { diagnostics, place }: { diagnostics: Diagnostics; place: string },
): Block<D> {
  const names = namesOf(spec);
  const values: Record<string, unknown> = {};
  const positions = new Map<string, Position>();
  for (const entry of node.entries) {
    const property = names.get(foldName(entry.key));
    if (property === undefined && foldName(entry.key) === "description") continue;
    if (property === undefined) {
      reportUnknown(entry, spec, { diagnostics, place });
      continue;
    }
    const earlier = positions.get(property);
    if (earlier !== undefined) {
      const hint = `first in line ${earlier.line} (several values are written as one list)`;
      diagnostics.error(entry.at, `directive ${quoted(entry.key)} is given twice in ${place}; ${hint}`);
      continue;
    }
    positions.set(property, entry.at);
    const value = spec.directives[property]!(entry.value, {
      diagnostics,
      place,
      directive: entry.key.trim(),
    });
    if (value !== undefined) values[property] = value;
  }
  return { at: node.at, place, values: values as Block<D>["values"], positions };
}

const NAMES = new WeakMap<object, ReadonlyMap<string, string>>();

function namesOf(spec: BlockSpec<Record<string, Directive<unknown>>>): ReadonlyMap<string, string> {
  const cached = NAMES.get(spec);
  if (cached !== undefined) return cached;
  const names = new Map(Object.keys(spec.directives).map((property) => [foldName(property), property]));
  for (const [alias, property] of Object.entries(spec.aliases ?? {})) names.set(foldName(alias), property);
  NAMES.set(spec, names);
  return names;
}

function reportUnknown(
  entry: ConfigEntry,
  spec: BlockSpec<Record<string, Directive<unknown>>>,
  { diagnostics, place }: { diagnostics: Diagnostics; place: string },
): void {
  const folded = foldName(entry.key);
  for (const [name, reason] of Object.entries(spec.noEffect ?? {})) {
    if (foldName(name) !== folded) continue;
    diagnostics.warning(entry.at, `directive "${name}" in ${place} has no effect: ${reason}`);
    return;
  }
  const known = [...Object.keys(spec.directives).map(shownName), ...Object.keys(spec.aliases ?? {})];
  const hint = entry.key === "<<" ? "; merge keys are not read, use JobDefs" : suggestion(entry.key, known);
  diagnostics.error(entry.at, `unknown directive ${quoted(entry.key)} in ${place}${hint}`);
}
