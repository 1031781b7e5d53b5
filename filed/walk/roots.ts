/** Opening and checking the places where a walk begins. */
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import {
  baseName,
  bytesOfText,
  displayPath,
  isWithin,
  keyToPath,
  parentKey,
  pathToKey,
} from "../../common/format/path.js";
import { type ImageEntry, openImage } from "../image/image-root.js";
import { realPath } from "../sys/real-path.js";
import { DirectoryHandle, newStat, type StatRecord } from "../sys/stat.js";
import type { WalkRoot } from "./file-set.js";

/** A root whose parent directory is open. Close `parent` when done. */
export interface OpenRoot {
  parent: DirectoryHandle;
  /** Name in `parent`; "." for the base itself. */
  name: string;
  stat: StatRecord;
  image: ImageEntry | undefined;
}

/** Where a root lies on the host, for messages. */
export function hostPath(root: WalkRoot): string {
  const base = root.base === "/" ? "" : root.base.replace(/\/+$/, "");
  return `${base}${keyToPath(root.key)}`;
}

function failed(root: WalkRoot, why: string, cause?: unknown): BackupError {
  const path = displayPath(hostPath(root));
  const virtual = root.base === "/" ? "" : ` (stored as ${displayPath(keyToPath(root.key))})`;
  return new BackupError(
    "ROOT_UNUSABLE",
    `${path}${virtual} cannot be backed up: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

/**
 * Opens the directory that holds a root and looks at the root itself, which may be of any type. The base directory
 * may lead through symlinks, the path below it may not: its entries could not be told from those of their targets.
 * @throws BackupError ROOT_UNUSABLE
 */
export function openRoot(root: WalkRoot): OpenRoot {
  if (root.image !== undefined) return openImage(root.image);
  let parent = openBase(root);
  try {
    const above = parentKey(root.key);
    for (const name of above === undefined || above === "" ? [] : above.split("\0")) {
      const next = openStep(root, parent, name);
      parent.close();
      parent = next;
    }
  } catch (error) {
    parent.close();
    throw error;
  }
  return openRootIn(root, parent);
}

/** The same with the root's parent directory, which is taken over. @throws BackupError ROOT_UNUSABLE */
export function openRootIn(root: WalkRoot, parent: DirectoryHandle): OpenRoot {
  const name = root.key === "" ? "." : baseName(root.key);
  const stat = newStat();
  try {
    parent.stat(name, stat);
  } catch (cause) {
    parent.close();
    throw failed(root, codeOf(cause) === "ENOENT" ? "it does not exist" : describeError(cause), cause);
  }
  return { parent, name, stat, image: undefined };
}

function openBase(root: WalkRoot): DirectoryHandle {
  try {
    return DirectoryHandle.open(undefined, realPath(root.base));
  } catch (cause) {
    const why =
      codeOf(cause) === "ENOENT" ? "does not exist; is the snapshot mounted?" : describeError(cause);
    throw failed(root, `its root directory ${displayPath(root.base)} ${why}`, cause);
  }
}

function openStep(root: WalkRoot, parent: DirectoryHandle, name: string): DirectoryHandle {
  try {
    return DirectoryHandle.open(parent, name);
  } catch (cause) {
    const shown = displayPath(name);
    switch (codeOf(cause)) {
      case "ENOENT":
        throw failed(root, `"${shown}" in its path does not exist`, cause);
      case "ELOOP":
      case "ENOTDIR":
        throw failed(root, `"${shown}" in its path is no directory (a symlink?); name the real place`, cause);
      default:
        throw failed(root, `"${shown}" in its path: ${describeError(cause)}`, cause);
    }
  }
}

/** What is wrong with a root below an entry that is no directory. */
export function nothingBelow(root: WalkRoot, key: string): BackupError {
  const path = displayPath(keyToPath(key));
  return failed(root, `${path} is in the list of files too, and is no directory there`);
}

/** Keys of the host's places that may be walked; undefined: all. */
export function allowedPlaces(allowedRoots: readonly string[] | undefined): readonly string[] | undefined {
  return allowedRoots?.map((path) => pathToKey(resolved(bytesOfText(path))));
}

/** @throws BackupError ROOT_UNUSABLE when filed's configuration does not allow this place. */
export function checkAllowed(root: WalkRoot, places: readonly string[] | undefined): void {
  if (places === undefined) return;
  const wanted = pathToKey((root.base === "/" ? "" : resolved(root.base)) + keyToPath(root.key));
  if (places.some((place) => isWithin(place, wanted))) return;
  throw failed(root, "AllowedRoots of the file daemon's configuration does not hold it");
}

function resolved(path: string): string {
  try {
    return realPath(path);
  } catch {
    return path;
  }
}
