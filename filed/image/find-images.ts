/**
 * Which devices and files the `Image` patterns of a FileSet stand for, when the walk begins. Unlike elsewhere symlinks
 * are followed: /dev/GROUP/VOLUME is one.
 */
import { readdirSync } from "node:fs";
import path from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import {
  bytesOfText,
  compareKeys,
  displayPath,
  isWithin,
  MAX_KEY_BYTES,
  pathToKey,
} from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import { textOfBytes } from "../../common/pattern/text.js";
import { AT_FDCWD } from "../../common/sys/native.js";
import type { JobMessage } from "../../proto/data/backup.js";
import { realPath } from "../sys/real-path.js";
import { newStat, statAt } from "../sys/stat.js";
import type { CompiledFileSet, WalkRoot } from "../walk/file-set.js";
import { compileWild } from "../walk/patterns.js";
import { openImage } from "./image-root.js";

/** More are a mistake, not a machine's disks. */
const MAX_IMAGES = 10_000;
const WILDCARDS = /[*?[\\]/;
/** What says that there is nothing at a path. Any other error says nothing: an image may be there. */
const NOTHING: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR"]);
/** And that a device has nothing behind it, as a card reader without a card. */
const NO_MEDIUM: ReadonlySet<string | undefined> = new Set(["ENOMEDIUM", "ENXIO", "ENODEV"]);

export interface FindOptions {
  fileSet: CompiledFileSet;
  /** Host paths that may be read; undefined: all. */
  allowedRoots?: readonly string[] | undefined;
  report: (type: JobMessage["type"], text: string) => void;
}

/**
 * All roots of a FileSet in order, with the images that are there now. What is named as a file and as an image is an
 * image.
 * @throws BackupError ROOT_UNUSABLE
 */
export function rootsOf(options: FindOptions): readonly WalkRoot[] {
  const { fileSet } = options;
  if (fileSet.images.length === 0) return fileSet.roots;
  const images = findImages(options);
  const keys = new Set(images.map(({ key }) => key));
  const others = fileSet.roots.filter(({ key }) => !keys.has(key));
  return [...others, ...images].sort((a, b) => compareKeys(a.key, b.key));
}

/**
 * One root per device or file, in no particular order, none twice under one name. A pattern that matches nothing is a
 * warning.
 * @throws BackupError ROOT_UNUSABLE: nothing at all matched or too much did, a path without wildcards cannot be used, it
 *   cannot be told what is there, or AllowedRoots does not hold a match
 */
function findImages(options: FindOptions): WalkRoot[] {
  const patterns = options.fileSet.images;
  const found = new Map<string, WalkRoot>();
  for (const { pattern, rules } of patterns) {
    const isExact = !WILDCARDS.test(pattern);
    const matches = isExact ? [bytesOfText(pattern)] : expand(pattern);
    let usable = 0;
    for (const match of matches) {
      const image = usableImage(match, isExact, options);
      if (image === undefined) continue;
      usable++;
      const key = pathToKey(match);
      if (!found.has(key)) found.set(key, { key, base: "/", rules, image });
    }
    if (usable === 0)
      options.report("warning", `Image "${displayPath(bytesOfText(pattern))}" matches no device or file`);
  }
  if (patterns.length > 0 && found.size === 0) {
    const all = patterns.map(({ pattern }) => displayPath(bytesOfText(pattern))).join(", ");
    throw new BackupError(
      "ROOT_UNUSABLE",
      `no Image of the FileSet exists: ${all}; are the snapshots there?`,
    );
  }
  return [...found.values()];
}

/** Paths (latin1 carriers) that the pattern matches, sorted, as a shell would find them. */
function expand(pattern: string): string[] {
  const names = pattern.split("/").filter((name) => name !== "");
  let paths = [""];
  names.forEach((name, depth) => {
    const isLast = depth === names.length - 1;
    const next: string[] = [];
    for (const path of paths) {
      for (const match of matchesIn(path, name, isLast)) next.push(match);
      if (next.length > MAX_IMAGES)
        throw new BackupError("ROOT_UNUSABLE", `Image "${pattern}" matches more than ${MAX_IMAGES} paths`);
    }
    paths = next;
  });
  return paths.sort();
}

function matchesIn(directory: string, name: string, isLast: boolean): string[] {
  if (!WILDCARDS.test(name)) {
    const path = `${directory}/${bytesOfText(name)}`;
    return isLast && typeOf(path) === undefined ? [] : [path];
  }
  const matches = compileWild(name, { ignoreCase: false, pathname: true });
  return namesIn(directory)
    .filter((entry) => (!entry.startsWith(".") || name.startsWith(".")) && matches(textOfBytes(entry)))
    .map((entry) => `${directory}/${entry}`)
    .filter((path) => isLast || typeOf(path) === EntryType.directory);
}

function namesIn(directory: string): string[] {
  try {
    const bytes = Buffer.from(directory === "" ? "/" : directory, "latin1");
    return readdirSync(bytes, "latin1" as BufferEncoding) as string[];
  } catch (cause) {
    if (NOTHING.has(codeOf(cause))) return [];
    const text = `${displayPath(directory)} cannot be searched for images: ${describeError(cause)}`;
    throw new BackupError("ROOT_UNUSABLE", text, { cause });
  }
}

const probe = newStat();

/** What the path leads to; undefined for nothing. @throws BackupError ROOT_UNUSABLE when that cannot be told */
function typeOf(path: string): typeof probe.type | undefined {
  try {
    statAt(AT_FDCWD, realPath(path), probe);
    return probe.type;
  } catch (cause) {
    if (NOTHING.has(codeOf(cause))) return undefined;
    const text = `${displayPath(path)} cannot be searched for images: ${describeError(cause)}`;
    throw new BackupError("ROOT_UNUSABLE", text, { cause });
  }
}

/** Where the match really lies; undefined when it is left out with a warning. @throws BackupError ROOT_UNUSABLE */
function usableImage(match: string, isExact: boolean, options: FindOptions): string | undefined {
  const shown = displayPath(match);
  const refuse = (why: string, cause?: unknown): undefined => {
    const text = `${shown} cannot be backed up as an image: ${why}`;
    const code = codeOf(cause);
    const isAbsent = cause === undefined || NOTHING.has(code) || NO_MEDIUM.has(code);
    // Left out with a warning, an image that is there would count as deleted.
    if (isExact || !isAbsent)
      throw new BackupError("ROOT_UNUSABLE", text, cause === undefined ? {} : { cause });
    options.report("warning", text);
  };
  let real: string;
  try {
    real = realPath(match);
    statAt(AT_FDCWD, real, probe);
  } catch (cause) {
    return refuse(codeOf(cause) === "ENOENT" ? "it does not exist" : describeError(cause), cause);
  }
  if (probe.type !== EntryType.file && probe.type !== EntryType.blockDevice)
    return refuse("it is neither a block device nor a file");
  if (pathToKey(match).length > MAX_KEY_BYTES) return refuse("its path is too long");
  if (!isAllowed(match, real, options.allowedRoots)) {
    const text = `${shown} (${displayPath(real)}) cannot be backed up: AllowedRoots of the file daemon's configuration does not hold it`;
    throw new BackupError("ROOT_UNUSABLE", text);
  }
  try {
    openImage(real).parent.close();
  } catch (error) {
    const { cause } = error as BackupError;
    return refuse(describeError(cause), cause);
  }
  return real;
}

/**
 * The place itself must be allowed, and AllowedRoots are taken as they are written: whoever may rename one of them could
 * put a link in its place. A link among the devices counts as its target's place: only the system makes those,
 * while a user might make one in a directory that is allowed, or in /dev/shm.
 */
function isAllowed(match: string, real: string, allowedRoots: readonly string[] | undefined): boolean {
  if (allowedRoots === undefined) return true;
  const holds = (place: string): boolean =>
    allowedRoots.some((root) => isWithin(pathToKey(bytesOfText(root)), pathToKey(place)));
  if (holds(real)) return true;
  const directory = realPath(path.posix.dirname(match));
  const link = `${directory}/${path.posix.basename(match)}`;
  const areDevices = isWithin("dev", pathToKey(link)) && isWithin("dev", pathToKey(real));
  return areDevices && isAmongDevices(directory) && holds(link);
}

/** False for /dev/shm and other file systems below /dev. */
function isAmongDevices(directory: string): boolean {
  const devices = newStat();
  statAt(AT_FDCWD, "/dev", devices);
  statAt(AT_FDCWD, directory, probe);
  return probe.devMajor === devices.devMajor && probe.devMinor === devices.devMinor;
}
