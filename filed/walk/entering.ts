/** Whether a directory is entered: Bacula's rules for recursion, file systems and marked directories. */
import { displayPath, keyToPath } from "../../common/format/path.js";
import type { JobMessage } from "../../proto/data/backup.js";
import { DirectoryHandle, newStat, type StatRecord } from "../sys/stat.js";
import type { EntryOptions } from "./file-set.js";
import type { MountTypes } from "./mounts.js";

export interface Entering {
  key: string;
  stat: StatRecord;
  options: EntryOptions;
  /** The directory that holds it. */
  parent: { devMajor: number; devMinor: number };
  /** Roots of the FileSet lie below: nobody needs to hear that it is not entered. */
  holdsRoots: boolean;
  mounts: MountTypes;
  /** Path of the root from which the walk came, empty when it is not known. */
  cameFrom: () => string;
  report: (type: JobMessage["type"], text: string) => void;
}

/** For a directory that is no root itself. */
export function mayEnter(entering: Entering): boolean {
  const { key, stat, options, parent, mounts, report } = entering;
  const sameDevice = stat.devMajor === parent.devMajor && stat.devMinor === parent.devMinor;
  if (options.recurse && sameDevice) return true;
  const path = displayPath(keyToPath(key));
  if (!options.recurse) {
    report("skipped", `Recursion turned off. Will not descend into ${path}`);
    return false;
  }
  if (options.oneFs) {
    if (entering.holdsRoots) return false;
    const from = entering.cameFrom();
    const origin = from === "" ? "" : `from ${from} `;
    report("info", `     ${path} is a different filesystem. Will not descend ${origin}into it.`);
    return false;
  }
  if (isAllowedType(options, stat, mounts)) return true;
  const type = mounts.typeOf(stat.devMajor, stat.devMinor);
  report("skipped", `Disallowed filesystem (${type ?? "unknown type"}). Will not descend into ${path}`);
  return false;
}

/** True when the file system that holds an entry is of a type that the FileSet takes. */
export function isAllowedType(options: EntryOptions, stat: StatRecord, mounts: MountTypes): boolean {
  if (options.fsTypes.length === 0) return true;
  const type = mounts.typeOf(stat.devMajor, stat.devMinor);
  return type !== undefined && options.fsTypes.includes(type);
}

const probe = newStat();

/** True when the directory holds one of the names that leave it out (`Exclude Dir Containing`). */
export function holdsMark(marks: readonly string[], parent: DirectoryHandle, name: string): boolean {
  if (marks.length === 0) return false;
  let dir: DirectoryHandle | undefined;
  try {
    dir = DirectoryHandle.open(parent, name);
    for (const mark of marks) if (exists(dir, mark)) return true;
    return false;
  } catch {
    // Reported when it is entered.
    return false;
  } finally {
    dir?.close();
  }
}

function exists(dir: DirectoryHandle, name: string): boolean {
  try {
    dir.stat(name, probe);
    return true;
  } catch {
    return false;
  }
}
