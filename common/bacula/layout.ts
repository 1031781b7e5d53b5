/**
 * Where configurations lie: single files, or the directories of Bareos, with one resource a file:
 * `bareos-dir.d/job/BackupCatalog.conf` (Bareos manual, "Subdirectory Configuration Scheme").
 */

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { BackupError, describeError } from "../errors.js";
import { filesOf } from "./sources.js";

/** Which daemon a configuration is for. */
export type Component = "director" | "storaged" | "filed" | "console";

/** Files that make up the configuration of one daemon. */
export interface InputGroup {
  /** Known from its place; undefined: the contents tell. */
  readonly component: Component | undefined;
  readonly files: readonly string[];
  readonly isBareos: boolean;
}

const TREES: readonly (readonly [name: RegExp, component: Component])[] = [
  [/^(bareos|bacula)-dir(\.d|\.conf)$/, "director"],
  [/^(bareos|bacula)-sd(\.d|\.conf)$/, "storaged"],
  [/^(bareos|bacula)-fd(\.d|\.conf)$/, "filed"],
  [/^(bconsole|bat)(\.d|\.conf)$/, "console"],
];

const PLACES = ["dir", "sd", "fd"]
  .flatMap((daemon) => [`bareos-${daemon}`, `bacula-${daemon}`])
  .concat("bconsole");

/**
 * What `input` (a file, a Bareos tree, or a directory such as /etc/bareos or /etc/bacula) holds.
 * @throws BackupError CONFIG_NOT_FOUND
 */
export function findInputs(input: string): InputGroup[] {
  const name = path.basename(path.resolve(input));
  const component = TREES.find(([pattern]) => pattern.test(name))?.[1];
  const isBareos = name.startsWith("bareos");
  try {
    if (!statSync(input).isDirectory()) return [{ component, files: [path.resolve(input)], isBareos }];
    if (name.endsWith(".d") && component !== undefined)
      return [{ component, files: treeFiles(input), isBareos }];
    const found = PLACES.flatMap((place) => groupIn(input, place));
    if (found.length > 0) {
      const anyBareos = found.some((each) => each.isBareos);
      return found.map((each) => ({ ...each, isBareos: anyBareos }));
    }
  } catch (cause) {
    throw new BackupError("CONFIG_NOT_FOUND", `cannot read configuration ${describeError(cause)}`, { cause });
  }
  const wanted = "bacula-dir.conf, bareos-dir.d or the like";
  throw new BackupError("CONFIG_NOT_FOUND", `${input}: the directory holds no ${wanted}`);
}

/** As in Bareos the file counts where both are there. */
function groupIn(directory: string, place: string): InputGroup[] {
  const file = path.join(directory, `${place}.conf`);
  const tree = path.join(directory, `${place}.d`);
  if (existsSync(file)) return findInputs(file);
  if (!existsSync(tree) || !statSync(tree).isDirectory()) return [];
  const files = treeFiles(tree);
  return files.length === 0 ? [] : findInputs(tree);
}

/** Files directly in it, and one level down. */
function treeFiles(tree: string): string[] {
  const isDirectory = (file: string): boolean => statSync(file).isDirectory();
  const below = filesOf(tree, "*").filter(isDirectory);
  const files = [tree, ...below].flatMap((directory) => filesOf(directory, "*.conf"));
  return files.filter((file) => !isDirectory(file)).map((file) => path.resolve(file));
}
