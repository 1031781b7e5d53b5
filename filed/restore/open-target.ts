/** The directory that is restored into, and where below it entries may be made. */
import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { displayPath, isWithin, keyToPath, pathToKey } from "../../common/format/path.js";
import { realPath } from "../sys/real-path.js";

export interface OpenTarget {
  fd: number;
  /** For messages: "" in place. */
  where: string;
  /** Keys below the target that may be restored to; undefined: all. */
  allowed: string[] | undefined;
  /** It was made just now. */
  isNew: boolean;
  close: () => void;
}

/**
 * Opens `where`, making it if missing. Its own components are the administrator's choice, so symlinks among them
 * are followed; nothing below it is.
 * @throws BackupError RESTORE_TARGET
 */
export function openTarget(where: string, roots: readonly string[]): OpenTarget {
  const path = where === "" ? "/" : where;
  const shown = displayPath(path);
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new BackupError("RESTORE_TARGET", `cannot restore to ${shown}: not an absolute path`);
  }
  if (pathToKey(path).split("\0").includes("..")) {
    throw new BackupError("RESTORE_TARGET", `cannot restore to ${shown}: the path has a ".." in it`);
  }
  try {
    const real = resolve(path);
    const allowed = allowedBelow(real, roots, shown);
    const bytes = Buffer.from(real, "latin1");
    const made = mkdirSync(bytes, { recursive: true, mode: 0o755 });
    const fd = openSync(bytes, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const place = pathToKey(path) === "" ? "" : keyToPath(pathToKey(path));
    return { fd, where: place, allowed, isNew: made !== undefined, close: () => closeSync(fd) };
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw new BackupError("RESTORE_TARGET", `cannot restore to ${shown}: ${describeError(error)}`, {
      cause: error,
    });
  }
}

/** The path without symlinks; components that do not exist yet stay as they are. */
function resolve(path: string): string {
  for (
    let names = pathToKey(path).split("\0"), missing: string[] = [];
    ;
    missing = [names.pop()!, ...missing]
  ) {
    try {
      const real = realPath(`/${names.join("/")}`);
      return keyToPath(pathToKey([real, ...missing].join("/")));
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || names.length === 0) throw error;
    }
  }
}

function allowedBelow(real: string, roots: readonly string[], shown: string): string[] | undefined {
  if (roots.length === 0) return undefined;
  const base = pathToKey(real);
  const tops = roots.map((root) => pathToKey(resolve(root)));
  if (tops.some((top) => isWithin(top, base))) return undefined;
  const below = tops.filter((top) => isWithin(base, top));
  if (below.length === 0) {
    throw new BackupError(
      "RESTORE_TARGET",
      `this client does not allow restores to ${shown} (RestoreRoots of its configuration)`,
    );
  }
  return below.map((top) => (base === "" ? top : top.slice(base.length + 1)));
}
