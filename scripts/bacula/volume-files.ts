/** Which files Bacula's volume tools mean: volumes by name, on a device by its name or directory. */

import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { isBaculaSyntax } from "../../common/bacula/detect.js";
import { readBaculaConfig } from "../../common/bacula/parser.js";
import type { BaculaResource } from "../../common/bacula/syntax.js";
import { givenText, listOf, named } from "../../common/bacula/values.js";
import { foldName } from "../../common/config/diagnostics.js";
import { BackupError, describeError } from "../../common/errors.js";

/** What a bootstrap file asks for. */
export interface Bootstrap {
  readonly volumes: readonly string[];
  readonly jobIds: readonly number[];
  /** Selections that are not followed: everything of the jobs is taken. */
  readonly ignored: readonly string[];
}

const MAX_BYTES = 16 * 1024 * 1024;

/** Lines such as `Volume="V1|V2"` and `JobId=3-5` (manual, "The Bootstrap File"). @throws BackupError USAGE */
export function readBootstrap(file: string): Bootstrap {
  const volumes = new Set<string>();
  const jobIds = new Set<number>();
  const ignored = new Set<string>();
  for (const line of textOf(file).split("\n")) {
    const match = /^\s*([A-Za-z ]+?)\s*=\s*(.*?)\s*$/.exec(line.replace(/#.*$/, ""));
    if (match === null) continue;
    const key = foldName(match[1]!);
    const value = match[2]!.replace(/^"(.*)"$/, "$1");
    if (key === "volume") for (const name of value.split("|")) volumes.add(name);
    else if (key === "jobid") for (const id of numbersOf(value)) jobIds.add(id);
    else if (!/^(mediatype|device|slot|count|storage)$/.test(key)) ignored.add(match[1]!.trim());
  }
  return { volumes: [...volumes], jobIds: [...jobIds], ignored: [...ignored] };
}

function textOf(file: string): string {
  try {
    if (statSync(file).size > MAX_BYTES) throw new Error(`${file} is too large`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new BackupError("USAGE", `cannot read ${describeError(cause)}`);
  }
}

function numbersOf(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [from = Number.NaN, to = from] = part.split("-").map(Number);
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to - from > 100_000) return [];
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
  });
}

/** Lines of a list of file names (`-i`, `-e`). @throws BackupError USAGE */
export function readNames(file: string): string[] {
  return textOf(file)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/**
 * The files of volumes on a device: the name of a Device or Autochanger of the storage daemon's file, a directory, or a
 * volume file itself. @throws BackupError USAGE, CONFIG_ codes
 */
export function volumeFiles(device: string, volumes: readonly string[], configFile: string): string[] {
  const there = statSync(device, { throwIfNoEntry: false });
  if (there?.isFile() === true && volumes.length === 0) return [device];
  const directory = there?.isDirectory() === true ? device : archiveOf(device, configFile);
  if (volumes.length === 0) throw new BackupError("USAGE", "name the volumes: -V NAME|NAME, or -b FILE");
  return volumes.map((name) => {
    if (name.includes("/") || name === "" || name === "..")
      throw new BackupError("USAGE", `"${name}" is no volume's name`);
    return path.join(directory, name);
  });
}

function archiveOf(device: string, configFile: string): string {
  if (!isBaculaSyntax(configFile)) {
    throw new BackupError("USAGE", `${device}: no such directory, and ${configFile} is no file of Bacula's`);
  }
  const { resources } = readBaculaConfig([configFile]);
  const find = (kind: string, name: string): BaculaResource | undefined =>
    resources.find((each) => foldName(each.kind) === kind && givenText(each.directives, "Name") === name);
  const changer = find("autochanger", device);
  const drives = named(changer?.directives ?? [], "Device").flatMap(({ words }) => listOf(words));
  const found = find("device", drives[0] ?? device);
  const directory = found === undefined ? undefined : givenText(found.directives, "ArchiveDevice");
  if (directory !== undefined) return directory;
  throw new BackupError("USAGE", `${device} is neither a directory nor a Device of ${configFile}`);
}
