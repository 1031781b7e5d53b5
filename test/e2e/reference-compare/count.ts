/** What is the same, and what a Full over references would store: counted from the trees themselves. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

interface Entry {
  /** Everything that a backup keeps of it. */
  all: string;
  isDirectory: boolean;
  /** Digest; "" without content. */
  content: string;
  size: number;
}
export type Tree = ReadonlyMap<string, Entry>;

export function readTree(root: string): Tree {
  const found = new Map<string, Entry>();
  const look = (name: string): void => {
    const path = join(root, name);
    const facts = lstatSync(path, { bigint: true });
    const { mode, uid, gid, mtimeNs } = facts;
    const isFile = facts.isFile();
    const size = isFile ? Number(facts.size) : 0;
    const content = size > 0 ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
    const target = facts.isSymbolicLink() ? readlinkSync(path) : "";
    const isDirectory = facts.isDirectory();
    found.set(name, {
      all: [mode, uid, gid, mtimeNs, size, content, target].join(),
      isDirectory,
      content,
      size,
    });
    if (isDirectory) for (const each of readdirSync(path)) look(name === "" ? each : `${name}/${each}`);
  };
  look("");
  return found;
}

/** The first of them that has a path decides. */
export function overlay(trees: readonly Tree[]): Tree {
  return new Map(trees.toReversed().flatMap((tree) => [...tree]));
}

export function contentsOf(trees: readonly Tree[]): ReadonlySet<string> {
  return new Set(trees.flatMap((tree) => [...tree.values()].map(({ content }) => content)));
}

/** The figures of an option, by the names that the answer has for them. */
export function costOver(machine: Tree, references: readonly Tree[]): Record<string, number> {
  const below = overlay(references);
  const held = contentsOf(references);
  const cost = {
    ...{ sameEntries: 0, sameBytes: 0, knownFiles: 0, knownBytes: 0, newFiles: 0, newBytes: 0 },
    ...{ readBytes: 0, rows: 0, deletions: 0 },
  };
  const seen = new Set<string>();
  for (const [name, entry] of machine) {
    const { all, content, size } = entry;
    if (below.get(name)?.all === all) {
      cost.sameEntries++;
      cost.sameBytes += size;
      continue;
    }
    cost.rows++;
    if (content === "") continue;
    if (!references.some((tree) => tree.get(name)?.all === all)) cost.readBytes += size;
    if (held.has(content)) {
      cost.knownFiles++;
      cost.knownBytes += size;
      continue;
    }
    cost.newFiles++;
    if (!seen.has(content)) cost.newBytes += size;
    seen.add(content);
  }
  for (const name of below.keys()) {
    const parent = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
    if (machine.has(name) || machine.get(parent)?.isDirectory !== true) continue;
    cost.deletions++;
    cost.rows++;
  }
  return cost;
}

/** Entries that are the same in all of them. */
export function commonTo(trees: readonly Tree[]): Tree {
  const [first, ...others] = trees;
  return new Map(
    [...first!].filter(([name, { all }]) => others.every((tree) => tree.get(name)?.all === all)),
  );
}
