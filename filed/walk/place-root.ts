/** Under which name a file of a FileSet is stored: its path, or what StripPath leaves of it. */
import { keyToPath, MAX_KEY_BYTES, pathToKey } from "../../common/format/path.js";
import type { IncludePlace, IncludeRules, WalkRoot } from "./file-set.js";

/** Why a path (latin1 carrier) cannot be the root of a walk; undefined when it can. */
export function nameProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return "is not an absolute path";
  if (path.includes("\0")) return "holds a NUL";
  const key = pathToKey(path);
  if (key.split("\0").includes("..")) return 'leads upwards by ".."';
  return key.length > MAX_KEY_BYTES ? "is too long" : undefined;
}

/** True for a path of so few components that StripPath leaves it alone. */
export function isLeftWhole(key: string, { stripPath }: IncludeRules): boolean {
  return stripPath > 0 && cutOf(key, stripPath) === undefined;
}

/** The root for a path below an Include block's directory. */
export function placeRoot(key: string, { base, rules }: IncludePlace): WalkRoot {
  const cut = rules.stripPath > 0 ? cutOf(key, rules.stripPath) : undefined;
  return cut === undefined ? { key, base, rules } : strippedRoot(key, cut, { base, rules });
}

/** A root whose first components, `cut` bytes with the NUL behind them, are not stored. */
export function strippedRoot(key: string, cut: number, { base, rules }: IncludePlace): WalkRoot {
  const above = key.slice(0, cut);
  const directory = keyToPath(above.slice(0, -1));
  return {
    key: key.slice(cut),
    base: base === "/" ? directory : base.replace(/\/+$/, "") + directory,
    // Patterns are about the names on the machine.
    rules: { ...rules, select: (stored, isDirectory) => rules.select(above + stored, isDirectory) },
  };
}

/** Bytes of the first `count` components with the NUL behind them; undefined when nothing would be left. */
export function cutOf(key: string, count: number): number | undefined {
  let cut = 0;
  for (let done = 0; done < count; done++) {
    const end = key.indexOf("\0", cut);
    if (end < 0) return undefined;
    cut = end + 1;
  }
  return cut;
}
