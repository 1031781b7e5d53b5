/**
 * Maps a configuration until the daemon's own loader takes it. What the loader says about an entry is said about the
 * directive that it came from, and that directive is left out of the next round. So the mapping never knows less, or
 * more, than the loader does.
 */

import { type Diagnostic, Diagnostics, type Position } from "../../config/diagnostics.js";
import type { ConfigEntry, ConfigNode, ConfigSource } from "../../config/source.js";
import type { BaculaDirective, BaculaResource } from "../syntax.js";
import { removalOf } from "./consequences.js";
import { Mapper } from "./mapper.js";
import type { Names } from "./names.js";
import { removedInside } from "./rules.js";
import type { Finding, MappedResource, Places, Removal } from "./types.js";

/** A loader without its file: builds the configuration of one daemon and reports what is wrong with it. */
export type Build = (source: ConfigSource, diagnostics: Diagnostics) => unknown;

export interface SettleOptions {
  /** Where the configuration will be; only for messages. */
  readonly file: string;
  readonly resources: readonly BaculaResource[];
  readonly names: Names;
  readonly isBareos: boolean;
  readonly map: (mapper: Mapper, resources: readonly BaculaResource[]) => void;
  readonly build: Build;
  /** (Default: those of an installation that `basalt import` makes) */
  readonly places?: Places;
}

/** What came of it. */
export interface Settled {
  readonly resources: readonly MappedResource[];
  readonly findings: readonly Finding[];
  readonly carried: number;
  readonly total: number;
  /** What is wrong although nothing is left to leave out: the configuration cannot be used. */
  readonly errors: readonly Diagnostic[];
  /** What the loader made of it; not to be used with errors. */
  readonly built: unknown;
}

const MAX_ROUNDS = 100;

interface Origin {
  readonly node: BaculaDirective | BaculaResource;
  /** Kind of the resource or block that it stands in. */
  readonly kind: string;
  readonly name: string;
}

/** Never throws for what is in the originals: see `errors`. */
export function settle(options: SettleOptions): Settled {
  const { file, resources, names, isBareos, map, build, places } = options;
  const origins = originsOf(resources);
  const removed = new Map<object, Removal>();
  for (let round = 0; ; round++) {
    const mapper = new Mapper(names, removed, isBareos, places);
    map(mapper, resources);
    const diagnostics = new Diagnostics();
    const built = build(toSource(mapper.resources, file), diagnostics);
    const found = diagnostics.all.filter((each) => isRemoval(each));
    // What stands inside comes first: it may be why the outer one is of no use.
    const fresh = found.toReversed().flatMap((each) => takeOut(each, origins, removed) ?? []);
    const { errors, warnings } = diagnostics;
    const isLast = fresh.length === 0 || round === MAX_ROUNDS;
    const remarks = remarksOf(isLast ? warnings : warnings.filter((each) => !isRemoval(each)));
    if (isLast) return settled(mapper, { errors, remarks, built });
    if (errors.length > 0) continue;
    // Without entries that do nothing the configuration is the same: they only have to be said of the originals.
    const said = new Mapper(names, removed, isBareos, places);
    map(said, resources);
    return settled(said, { errors, remarks, built });
  }
}

function settled(
  { resources, findings, carried, total }: Mapper,
  { errors, remarks, built }: { errors: readonly Diagnostic[]; remarks: readonly Finding[]; built: unknown },
): Settled {
  return { resources, findings: [...findings, ...remarks], carried, total, errors, built };
}

/** Errors, and warnings that an entry does nothing. */
function isRemoval({ severity, message }: Diagnostic): boolean {
  return severity === "error" || /^directive .* has no effect: /.test(message);
}

function takeOut(
  { at, severity, message }: Diagnostic,
  origins: ReadonlyMap<string, Origin>,
  removed: Map<object, Removal>,
): Origin | undefined {
  const origin = origins.get(keyOf(at));
  if (origin === undefined || removed.has(origin.node)) return undefined;
  const removal = removalOf(origin.kind, origin.name, severity, message);
  const inner =
    "block" in origin.node ? origin.node.block : "directives" in origin.node ? origin.node.directives : [];
  const reasons = removedInside(inner ?? [], removed).map((each) => each.removal.outcome);
  // What is wrong for want of something that is not supported is not the original's fault.
  const isOurs = reasons.length > 0 && !reasons.includes("wrong");
  const text = `what remains is of no use: ${message}`;
  removed.set(origin.node, isOurs ? { outcome: "unsupported", text } : removal);
  return origin;
}

function remarksOf(warnings: readonly Diagnostic[]): Finding[] {
  return warnings.map(({ at, message }) => ({
    outcome: "differs" as const,
    at,
    what: "note",
    text: message,
  }));
}

function keyOf({ file, line, column }: Position): string {
  return `${line}:${column}:${file}`;
}

function originsOf(resources: readonly BaculaResource[]): Map<string, Origin> {
  const origins = new Map<string, Origin>();
  const addAll = (directives: readonly BaculaDirective[], kind: string): void => {
    for (const node of directives) {
      origins.set(keyOf(node.at), { node, kind, name: node.name });
      if (node.block !== undefined) addAll(node.block, node.name.replace(/\s/g, ""));
    }
  };
  for (const node of resources) {
    origins.set(keyOf(node.at), { node, kind: node.kind, name: node.kind });
    addAll(node.directives, kindName(node));
  }
  return origins;
}

/** JobDefs are jobs, autochangers of the director are storages, and a Client that is a daemon is a FileDaemon. */
function kindName({ kind, directives }: BaculaResource): string {
  const folded = kind.toLowerCase().replace(/\s/g, "");
  if (folded === "jobdefs") return "Job";
  if (folded === "autochanger") {
    return directives.some((each) => /^(sd)?address$/i.test(each.name)) ? "Storage" : "Autochanger";
  }
  const isDaemon = folded === "client" && !directives.some((each) => /^(fd)?address$/i.test(each.name));
  return isDaemon ? "FileDaemon" : kind;
}

/** The mapped resources as a loader reads them: one entry of each kind. */
export function toSource(resources: readonly MappedResource[], file: string): ConfigSource {
  const byKind = new Map<string, ConfigNode[]>();
  for (const { kind, node } of resources) {
    const nodes = byKind.get(kind) ?? [];
    nodes.push(node);
    byKind.set(kind, nodes);
  }
  const entries = [...byKind].map(([kind, items]): ConfigEntry => {
    const at = items[0]!.at;
    return { key: kind, at, value: { kind: "list", items, at } };
  });
  return { file, files: [file], entries };
}
