/** FileSet: what a job backs up and how. */

import { createHash } from "node:crypto";
import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { absolutePath } from "../../common/config/parts.js";
import { type ResourceOf, resourceName } from "../../common/config/resources.js";
import {
  type Block,
  type BlockOf,
  type BlockSpec,
  block,
  type Directive,
  integer,
  listOf,
  oneOf,
  scalar,
  text,
  yesNo,
} from "../../common/config/spec.js";
import { isBlockSize } from "../../common/format/content.js";
import { parseSize } from "../../common/units.js";
import type { Compression, FileSetResource, IncludeBlock, OptionsBlock } from "./types-file-set.js";

const COMPRESSION_WORDS: Readonly<Record<string, Compression>> = {
  none: "none",
  no: "none",
  auto: "auto",
  yes: "auto",
  zstd: "auto",
  fast: "fast",
  lzo: "fast",
  lz4: "fast",
  gzip: 6,
};

const COMPRESSION_EXPECTED = "none, auto, fast, a zstd level 1 to 19, or Bacula's GZIP, GZIP1 to GZIP9, LZO";

/** Bacula's GZIPn becomes zstd level n: smaller and several times faster than what was asked for. */
function parseCompression(value: string): Compression {
  const word = value.trim().toLowerCase();
  const known = Object.hasOwn(COMPRESSION_WORDS, word) ? COMPRESSION_WORDS[word] : undefined;
  if (known !== undefined) return known;
  const match = /^(gzip|zstd)?(\d{1,2})$/.exec(word);
  const level = Number(match?.[2]);
  if (match !== null && level >= 1 && level <= (match[1] === "gzip" ? 9 : 19)) return level;
  throw new Error(`${quoted(value)} is not ${COMPRESSION_EXPECTED}`);
}

const LETTERS = "ipnugsamcdA5123";

/** Letters of the attributes that are compared; `=` and the like are Bacula's internal forms and refused. */
function parseLetters(value: string): string {
  const wrong = [...value.trim()].find((letter) => !LETTERS.includes(letter));
  if (wrong === undefined) return value.trim();
  throw new Error(`${quoted(value)} holds "${wrong}"; the letters are ${[...LETTERS].join(" ")}`);
}

function parseRegex(value: string): string {
  try {
    if (!value.includes("[[:")) new RegExp(value);
    return value;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : "").replace(/^Invalid regular expression: /, "");
    throw new Error(`${quoted(value)} is not a regular expression: ${reason}`);
  }
}

/** An absolute path, a list `<file` (director) or `\<file` (client), or a command `|cmd` or `\|cmd`. */
function parseFileEntry(value: string): string {
  if (/^\\?[<|]/.test(value)) return value;
  if (!value.startsWith("/") || value.includes("\0"))
    throw new Error(`${quoted(value)} is not an absolute path`);
  return value === "/" ? value : value.replace(/\/+$/, "");
}

/** An absolute path; `*`, `?`, `[…]` in any of its components, a backslash takes the next character as it is. */
function parseImageEntry(value: string): string {
  const wrong = !value.startsWith("/") || value.includes("\0") || /(^|\/)\.{1,2}(\/|$)/.test(value);
  const path = value.replace(/\/+$/, "");
  if (wrong || path === "") throw new Error(`${quoted(value)} is not an absolute path of devices or files`);
  return path;
}

function parseBlockSize(value: string): number {
  const bytes = parseSize(value);
  if (isBlockSize(bytes)) return bytes;
  throw new Error(`${quoted(value)} is not a power of two from 4k to 1M`);
}

const patterns = () => listOf(text());
const images = () => listOf(scalar(parseImageEntry));
const blockSize = () => scalar(parseBlockSize);
const regexes = () => listOf(scalar(parseRegex));
const letters = () => scalar(parseLetters);
const files = () => listOf(scalar(parseFileEntry));

const SIGNATURES = {
  none: "none",
  no: "none",
  md5: "md5",
  sha1: "sha1",
  sha256: "sha256",
  sha512: "sha512",
} as const;

const optionDirectives = {
  compression: scalar(parseCompression),
  oneFs: yesNo(),
  sparse: yesNo(),
  recurse: yesNo(),
  hardLinks: yesNo(),
  aclSupport: yesNo(),
  xattrSupport: yesNo(),
  readFifo: yesNo(),
  exclude: yesNo(),
  ignoreCase: yesNo(),
  wild: patterns(),
  wildDir: patterns(),
  wildFile: patterns(),
  regex: regexes(),
  regexDir: regexes(),
  regexFile: regexes(),
  fsType: patterns(),
  noAtime: yesNo(),
  keepAtime: yesNo(),
  honorNoDumpFlag: yesNo(),
  checkFileChanges: yesNo(),
  mtimeOnly: yesNo(),
  signature: oneOf<OptionsBlock["signature"]>(SIGNATURES),
  stripPath: integer(0, 100),
  blockSize: blockSize(),
  skipFree: yesNo(),
  baseJob: letters(),
  accurate: letters(),
  verify: letters(),
};

const OPTIONS_SPEC: BlockSpec<typeof optionDirectives> = {
  directives: optionDirectives,
  aliases: { Strip: "stripPath", AclSupported: "aclSupport", HonorNoDump: "honorNoDumpFlag" },
  noEffect: {
    DriveType: "there are no Windows clients",
    HfsPlusSupport: "there are no macOS clients",
    Portable: "there are no Windows clients",
  },
};

const includeDirectives = {
  file: files(),
  image: images(),
  root: absolutePath(),
  options: listOf(block(OPTIONS_SPEC)),
  excludeDirContaining: patterns(),
};

const INCLUDE_SPEC: BlockSpec<typeof includeDirectives> = {
  directives: includeDirectives,
  aliases: { Files: "file", Images: "image", Option: "options" },
};

const excludeDirectives = { file: listOf(text()) };

const EXCLUDE_SPEC: BlockSpec<typeof excludeDirectives> = {
  directives: excludeDirectives,
  aliases: { Files: "file" },
};

const excludeBlock = block(EXCLUDE_SPEC);
const excludeList = listOf(text());

/** `Exclude: {File: […]}`, or the list alone. */
const exclude: Directive<readonly string[]> = (node, context) => {
  if (node.kind !== "map") return excludeList(node, context);
  return excludeBlock(node, context)?.values.file ?? [];
};

const directives = {
  name: resourceName(),
  include: listOf(block(INCLUDE_SPEC)),
  exclude,
  ignoreFileSetChanges: yesNo(),
};

export const FILE_SET_SPEC: BlockSpec<typeof directives> = {
  directives,
  aliases: { IgnoreChanges: "ignoreFileSetChanges" },
  noEffect: { EnableVss: "there are no Windows clients" },
};

/** The typed FileSet; an empty one is reported. */
export function toFileSet(raw: ResourceOf<typeof FILE_SET_SPEC>, diagnostics: Diagnostics): FileSetResource {
  const include = (raw.values.include ?? []).map((each) => toInclude(each, diagnostics));
  if (!raw.positions.has("include")) {
    diagnostics.error(raw.at, `${raw.place} has no Include; write Include: {File: [/etc]}`);
  }
  const excludeFiles = raw.values.exclude ?? [];
  const digest = createHash("sha256").update(canonicalJson({ include, excludeFiles })).digest("hex");
  return {
    name: raw.name,
    include,
    excludeFiles,
    ignoreChanges: raw.values.ignoreFileSetChanges ?? false,
    digest,
  };
}

function toInclude(raw: BlockOf<typeof INCLUDE_SPEC>, diagnostics: Diagnostics): IncludeBlock {
  const { file = [], image = [], root, excludeDirContaining = [] } = raw.values;
  if (!raw.positions.has("file") && !raw.positions.has("image")) {
    diagnostics.error(raw.at, `${raw.place} names no File and no Image`);
  }
  const options = (raw.values.options ?? []).map(toOptions);
  const last = options.at(-1);
  if (last === undefined || hasPatterns(last)) options.push(toOptions({ values: {} }));
  // What is not set does not count in the FileSet's digest, which an upgrade must not change.
  return {
    files: file,
    ...(image.length === 0 ? {} : { images: image }),
    ...(root === undefined ? {} : { root }),
    options,
    excludeDirContaining,
  };
}

function hasPatterns(options: OptionsBlock): boolean {
  const { wild, wildDir, wildFile, regex, regexDir, regexFile } = options;
  return [wild, wildDir, wildFile, regex, regexDir, regexFile].some((list) => list.length > 0);
}

function toOptions({ values }: Pick<Block<typeof optionDirectives>, "values">): OptionsBlock {
  return {
    compression: values.compression ?? "auto",
    oneFs: values.oneFs ?? true,
    sparse: values.sparse ?? true,
    recurse: values.recurse ?? true,
    hardLinks: values.hardLinks ?? true,
    aclSupport: values.aclSupport ?? true,
    xattrSupport: values.xattrSupport ?? true,
    readFifo: values.readFifo ?? false,
    exclude: values.exclude ?? false,
    ignoreCase: values.ignoreCase ?? false,
    wild: values.wild ?? [],
    wildDir: values.wildDir ?? [],
    wildFile: values.wildFile ?? [],
    regex: values.regex ?? [],
    regexDir: values.regexDir ?? [],
    regexFile: values.regexFile ?? [],
    fsType: values.fsType ?? [],
    noAtime: values.noAtime ?? true,
    keepAtime: values.keepAtime ?? false,
    checkFileChanges: values.checkFileChanges ?? true,
    mtimeOnly: values.mtimeOnly ?? false,
    signature: values.signature ?? "sha256",
    stripPath: values.stripPath ?? 0,
    blockSizeBytes: values.blockSize ?? 0,
    ...(values.honorNoDumpFlag === true ? { honorNoDump: true } : {}),
    ...(values.skipFree === true ? { skipFree: true } : {}),
    ...(values.baseJob === undefined ? {} : { baseJob: values.baseJob }),
    ...(values.accurate === undefined ? {} : { accurate: values.accurate }),
    ...(values.verify === undefined ? {} : { verify: values.verify }),
  };
}

/** JSON with sorted keys: the same for the same content, whatever the order it was written in. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
}
