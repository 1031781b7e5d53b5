/** A FileSet made ready for walking: patterns compiled, paths as keys, roots sorted. */
import { BackupError } from "../../common/errors.js";
import { bytesOfText, compareKeys, displayPath, keyToPath, pathToKey } from "../../common/format/path.js";
import type { VerifyLetters } from "../../common/format/row-differences.js";
import { textOfBytes } from "../../common/pattern/text.js";
import type { FileList__Output } from "../../proto/generated/basalt/v1/FileList.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { IncludeBlock__Output } from "../../proto/generated/basalt/v1/IncludeBlock.js";
import type { OptionsBlock__Output } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import { isInMountedMachine } from "../mount/mounted-machine.js";
import type { Compression } from "../pack/task.js";
import type { Comparison } from "./comparison.js";
import { DEFAULT_OPTIONS, entryOptions } from "./entry-options.js";
import { compileRegex, compileWild, type TextMatcher } from "./patterns.js";
import { isLeftWhole, nameProblem, placeRoot } from "./place-root.js";

/** How one entry is walked, compared and packed. One object per Options block. */
export interface EntryOptions {
  compression: Compression;
  oneFs: boolean;
  recurse: boolean;
  hardLinks: boolean;
  acl: boolean;
  xattr: boolean;
  /** File system types that may be entered; empty: all. */
  fsTypes: readonly string[];
  own: Comparison;
  base: Comparison;
  /** What a Verify job compares. */
  verify: VerifyLetters;
  /** Every file is read. */
  digestAlways: boolean;
  /** Disk images are cut in blocks of this many bytes. */
  blockSize: number;
  /** Disk images: what the file systems in them call free becomes zeros. */
  skipFree: boolean;
  /** What comes out of a named pipe is its content. */
  readFifo: boolean;
  /** Files and directories with the nodump attribute are left out. */
  honorNoDump: boolean;
}

/** Decides about each path of one Include block. */
export interface IncludeRules {
  /** Options of an entry, undefined when it is left out. `key` is the virtual path's. */
  select(key: string, isDirectory: boolean): EntryOptions | undefined;
  /** Names (latin1) that make a directory be left out. */
  excludeDirContaining: readonly string[];
  /** Leading components that stored names do without. */
  stripPath: number;
}

export interface WalkRoot {
  /** Virtual path below which it is stored. */
  key: string;
  /** Host directory that stands for the virtual "/": absolute, latin1 carrier. */
  base: string;
  rules: IncludeRules;
  /** It comes from a list of files: it may be missing. */
  isListed?: boolean;
  /** Of a disk image: the device or file itself, an absolute host path without symlinks. */
  image?: string | undefined;
}

/** An `Image` of a FileSet: host paths that are looked for when the walk begins. */
export interface ImagePattern {
  /** As in the configuration: absolute, with fnmatch(3) wildcards in any component. */
  pattern: string;
  rules: IncludeRules;
}

/** Where the names of an Include block, also those of its lists, lie. */
export interface IncludePlace {
  base: string;
  rules: IncludeRules;
}

/** A list of files that is read when the walk begins. */
export interface CompiledList {
  kind: "sent" | "file" | "command";
  source: string;
  number: number;
  place: IncludePlace;
}

export interface CompiledFileSet {
  name: string;
  /** Ascending, no two of the same key. A root may lie below another one. */
  roots: readonly WalkRoot[];
  images: readonly ImagePattern[];
  lists: readonly CompiledList[];
  /** Warnings for the job's report. */
  remarks: readonly string[];
}

/** @throws BackupError FILESET_INVALID naming the FileSet and what is wrong. */
export function compileFileSet(fileSet: FileSet__Output): CompiledFileSet {
  try {
    const excludes = compileExclude(fileSet.exclude);
    const roots = new Map<string, WalkRoot>();
    const images: ImagePattern[] = [];
    const lists: CompiledList[] = [];
    const remarks: string[] = [];
    for (const include of fileSet.include) {
      const base = rootDirectory(include.root);
      const rules = compileInclude(acrossMounts(include, base), excludes);
      for (const file of include.files) {
        const root = placeRoot(fileKey(file), { base, rules });
        const other = roots.get(root.key);
        if (other === undefined) roots.set(root.key, root);
        else if (rules.stripPath > 0 && other.base !== root.base) throw sameName(file, root);
        if (isLeftWhole(fileKey(file), rules)) remarks.push(leftWhole(file, rules));
      }
      for (const list of include.lists ?? []) lists.push(compileList(list, { base, rules }));
      for (const pattern of include.images) images.push({ pattern: imagePattern(pattern), rules });
    }
    if (roots.size + images.length + lists.length === 0)
      throw new BackupError("FILESET_INVALID", "it includes no File and no Image");
    const sorted = [...roots.values()].sort((a, b) => compareKeys(a.key, b.key));
    return { name: fileSet.name, roots: sorted, images, lists, remarks };
  } catch (cause) {
    if (!(cause instanceof BackupError)) throw cause;
    throw new BackupError("FILESET_INVALID", `FileSet "${fileSet.name}": ${cause.message}`, { cause });
  }
}

/** The file systems of a machine that is mounted whole are one tree: OneFS is about those of the machine that filed is on. */
function acrossMounts(include: IncludeBlock__Output, base: string): IncludeBlock__Output {
  if (base === "/" || !isInMountedMachine(base)) return include;
  const blocks = include.options.length === 0 ? [DEFAULT_OPTIONS] : include.options;
  return { ...include, options: blocks.map((block) => ({ ...block, oneFs: false })) };
}

function rootDirectory(root: string): string {
  if (root === "") return "/";
  if (!root.startsWith("/")) throw new BackupError("FILESET_INVALID", `Root ${root} is not an absolute path`);
  return bytesOfText(root);
}

function fileKey(file: string): string {
  const bytes = bytesOfText(file);
  const problem = nameProblem(bytes);
  if (problem !== undefined) throw new BackupError("FILESET_INVALID", `File ${file} ${problem}`);
  return pathToKey(bytes);
}

function sameName(file: string, root: WalkRoot): BackupError {
  const stored = displayPath(keyToPath(root.key));
  const text = `File ${file} and another one would both be stored as ${stored} (StripPath)`;
  return new BackupError("FILESET_INVALID", text);
}

function leftWhole(file: string, { stripPath }: IncludeRules): string {
  return `File ${file} is stored by its whole name: it has no more than ${stripPath} components (StripPath)`;
}

function compileList({ kind, source, number }: FileList__Output, place: IncludePlace): CompiledList {
  if (kind !== "sent" && kind !== "file" && kind !== "command")
    throw new BackupError("FILESET_INVALID", `a list of files is of unknown kind "${kind}"`);
  return { kind, source, number, place };
}

function imagePattern(pattern: string): string {
  const names = pattern.split("/");
  if (pattern.startsWith("/") && !pattern.includes("\0") && !names.some((name) => /^\.\.?$/.test(name)))
    return pattern;
  throw new BackupError("FILESET_INVALID", `Image ${pattern} is not an absolute path`);
}

/** The Exclude resource: fnmatch with FNM_PATHNAME on the whole path, as Bacula does it. */
interface Excludes {
  /** Patterns without wildcards, as keys: looked up without building a path. */
  keys: ReadonlySet<string>;
  wild: readonly TextMatcher[];
}

function compileExclude(patterns: readonly string[]): Excludes {
  const keys = new Set<string>();
  const wild: TextMatcher[] = [];
  for (const pattern of patterns) {
    const trimmed = pattern.length > 1 ? pattern.replace(/\/+$/, "") : pattern;
    if (/[*?[\\]/.test(trimmed)) wild.push(compileWild(trimmed, { ignoreCase: false, pathname: true }));
    else if (trimmed.startsWith("/")) keys.add(pathToKey(bytesOfText(trimmed)));
  }
  return { keys, wild };
}

interface CompiledBlock {
  options: EntryOptions;
  exclude: boolean;
  empty: boolean;
  matches: (text: string, isDirectory: boolean) => boolean;
}

/** Bacula's accept_file(): the first block one of whose patterns matches decides; the last one's options else. */
function compileInclude(include: IncludeBlock__Output, excludes: Excludes): IncludeRules {
  const blocks = include.options.map(compileBlock);
  const last = blocks.at(-1)?.options ?? entryOptions(DEFAULT_OPTIONS);
  const plain = blocks.every((block) => block.empty && !block.exclude);
  return {
    excludeDirContaining: include.excludeDirContaining.map(bytesOfText),
    stripPath: (include.options.at(-1)?.stripPath ?? 0) | 0,
    select(key, isDirectory) {
      if (excludes.keys.has(key) && (plain || !decidedEarlier(blocks, key, isDirectory))) return undefined;
      if (plain && excludes.wild.length === 0) return last;
      const text = textOfBytes(keyToPath(key));
      for (const block of blocks) {
        if (block.matches(text, isDirectory)) return block.exclude ? undefined : block.options;
        if (block.exclude && block.empty) return undefined;
      }
      return excludes.wild.some((matches) => matches(text)) ? undefined : last;
    },
  };
}

/** True when an Options block that includes matches: it outranks the Exclude resource. */
function decidedEarlier(blocks: readonly CompiledBlock[], key: string, isDirectory: boolean): boolean {
  const text = textOfBytes(keyToPath(key));
  const decides = blocks.find((block) => block.matches(text, isDirectory) || (block.exclude && block.empty));
  return decides !== undefined && !decides.exclude;
}

function compileBlock(block: OptionsBlock__Output): CompiledBlock {
  const wild = (patterns: readonly string[]): TextMatcher[] =>
    patterns.map((pattern) => compileWild(pattern, { ignoreCase: block.ignoreCase, pathname: false }));
  const regex = (patterns: readonly string[]): TextMatcher[] =>
    patterns.map((pattern) => compileRegex(pattern, block.ignoreCase));
  const both = [wild(block.wild), regex(block.regex)] as const;
  const forDirectories = [...wild(block.wildDir), ...both[0], ...regex(block.regexDir), ...both[1]];
  const forOthers = [...wild(block.wildFile), ...both[0], ...regex(block.regexFile), ...both[1]];
  return {
    options: entryOptions(block),
    exclude: block.exclude,
    empty: forDirectories.length === 0 && forOthers.length === 0,
    matches: (text, isDirectory) =>
      (isDirectory ? forDirectories : forOthers).some((matches) => matches(text)),
  };
}
