/**
 * The paths that were asked for, as roots of a walk below the mounted tree. That tree is a guest's: it is entered by open
 * directories, one component after the other, and no symbolic link is followed.
 */
import { codeOf, describeError } from "../../common/errors.js";
import { compareKeys, displayPath, isWithin, keyToPath } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import { DirectoryHandle, newStat, readLinkAt } from "../sys/stat.js";
import { DEFAULT_OPTIONS, entryOptions } from "../walk/entry-options.js";
import type { EntryOptions, WalkRoot } from "../walk/file-set.js";

export interface SelectedPath {
  /** Path key. */
  key: string;
  /** With everything below it. */
  recursive: boolean;
}

export interface Selected {
  /** Ascending, no two of the same key. */
  roots: WalkRoot[];
  /** Paths that are not there, each with a sentence. */
  missing: string[];
}

/** @throws SysError when the tree itself cannot be opened */
export function selectedRoots(base: string, paths: readonly SelectedPath[]): Selected {
  // All entries with all that belongs to them, across what is mounted in the tree.
  const options = entryOptions({ ...DEFAULT_OPTIONS, oneFs: false });
  const byKey = new Map<string, boolean>();
  for (const { key, recursive } of paths) byKey.set(key, recursive || byKey.get(key) === true);
  const selected: Selected = { roots: [], missing: [] };
  const top = DirectoryHandle.open(undefined, base);
  try {
    for (const [key, recursive] of [...byKey].sort(([a], [b]) => compareKeys(a, b))) {
      const why = whyMissing(top, key);
      if (why !== undefined) selected.missing.push(`${displayPath(keyToPath(key))} ${why}`);
      else if (!isCovered(selected.roots, byKey, key))
        selected.roots.push(root(base, key, recursive, options));
    }
  } finally {
    top.close();
  }
  return selected;
}

/** True when a directory above it comes back with all that is in it. */
function isCovered(
  roots: readonly WalkRoot[],
  recursive: ReadonlyMap<string, boolean>,
  key: string,
): boolean {
  return roots.some((root) => recursive.get(root.key) === true && isWithin(root.key, key));
}

function root(base: string, key: string, recursive: boolean, options: EntryOptions): WalkRoot {
  const rules = {
    select: (entry: string) => (recursive || entry === key ? options : undefined),
    excludeDirContaining: [],
    stripPath: 0,
  };
  // A root that goes away is an entry that cannot be read, and no reason to give up the others.
  return { key, base, rules, isListed: true };
}

const probe = newStat();

function whyMissing(top: DirectoryHandle, key: string): string | undefined {
  if (key === "") return undefined;
  const names = key.split("\0");
  let directory = top.retain();
  try {
    for (const [i, name] of names.entries()) {
      directory.stat(name, probe);
      if (i === names.length - 1) return undefined;
      const place = displayPath(keyToPath(names.slice(0, i + 1).join("\0")));
      if (probe.type === EntryType.symlink) {
        const target = displayPath(readLinkAt(directory.fd, name));
        return `is not restored: ${place} is a symbolic link to ${target}; name the real place`;
      }
      if (probe.type !== EntryType.directory) return `is not in the disk images: ${place} is no directory`;
      const next = DirectoryHandle.open(directory, name);
      directory.close();
      directory = next;
    }
    return undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "is not in the disk images";
    return `cannot be read in the disk images: ${describeError(error)}`;
  } finally {
    directory.close();
  }
}
