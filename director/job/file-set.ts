/** A FileSet as it is sent to the file daemon, and the lists of files that go there on their own. */

import { BackupError } from "../../common/errors.js";
import { MAX_LISTS } from "../../proto/data/names.js";
import type { FileList } from "../../proto/generated/basalt/v1/FileList.js";
import type { FileSet } from "../../proto/generated/basalt/v1/FileSet.js";
import type { OptionsBlock as SentOptions } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import type { FileSetResource, OptionsBlock } from "../config/types-file-set.js";
import { type DirectorList, type ListContext, readList } from "./send-lists.js";

export interface SentFileSet {
  fileSet: FileSet;
  /** To be sent before the request. */
  lists: DirectorList[];
}

/** Names of Exclude lists are patterns: they are part of the request. */
const MAX_EXCLUDE_BYTES = 4 * 1024 * 1024;

/** @throws BackupError FILESET_LIST when a list of Exclude cannot be read or is too long, or there are too many lists. */
export async function toSentFileSet(fileSet: FileSetResource, context: ListContext): Promise<SentFileSet> {
  const lists: DirectorList[] = [];
  const include = fileSet.include.map((block) => ({
    files: block.files.filter((entry) => !isList(entry)),
    lists: block.files.filter(isList).map((entry) => toList(entry, lists)),
    images: [...(block.images ?? [])],
    root: block.root ?? "",
    options: block.options.map(toSentOptions),
    excludeDirContaining: [...block.excludeDirContaining],
  }));
  if (lists.length > MAX_LISTS) {
    const text = `FileSet "${fileSet.name}" has ${lists.length} lists of files; at most ${MAX_LISTS} are possible`;
    throw new BackupError("FILESET_LIST", text);
  }
  const exclude = await excludedNames(fileSet, context);
  const excludeLists = fileSet.excludeFiles.filter((entry) => /^\\[<|]/.test(entry));
  return {
    fileSet: {
      name: fileSet.name,
      include,
      exclude,
      excludeLists: excludeLists.map((entry) => toList(entry, [])),
    },
    lists,
  };
}

/** `<FILE` and `|COMMAND` are the director's, `\<FILE` and `\|COMMAND` the client's. */
function isList(entry: string): boolean {
  return /^\\?[<|]/.test(entry);
}

function toList(entry: string, lists: DirectorList[]): FileList {
  if (entry.startsWith("\\"))
    return { kind: entry[1] === "|" ? "command" : "file", source: entry.slice(2).trim() };
  const number = lists.push({ number: lists.length, entry }) - 1;
  return { kind: "sent", source: entry.slice(1).trim(), number };
}

/** Blank lines and comments do not count. */
async function excludedNames(fileSet: FileSetResource, context: ListContext): Promise<string[]> {
  const names: string[] = [];
  for (const entry of fileSet.excludeFiles) {
    if (!isList(entry)) names.push(entry);
    if (!isList(entry) || entry.startsWith("\\")) continue;
    const parts: Buffer[] = [];
    let bytes = 0;
    const take = async (part: Buffer): Promise<void> => {
      bytes += part.length;
      if (bytes > MAX_EXCLUDE_BYTES) {
        const text = `FileSet "${fileSet.name}": the Exclude list ${entry} is larger than 4 MiB`;
        throw new BackupError("FILESET_LIST", text);
      }
      parts.push(part);
    };
    await readList(entry, take, context);
    const lines = Buffer.concat(parts).toString("utf8").split("\n");
    names.push(...lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#")));
  }
  return names;
}

/** Letters that ask for a digest: MD5, SHA-1, SHA-256, SHA-512 in Bacula's spelling. */
const DIGEST_LETTER = /[1235]/;

function toSentOptions(options: OptionsBlock): SentOptions {
  const letters = `${options.verify ?? ""}${options.accurate ?? ""}`;
  return {
    compression: String(options.compression),
    oneFs: options.oneFs,
    sparse: options.sparse,
    recurse: options.recurse,
    hardLinks: options.hardLinks,
    acl: options.aclSupport,
    xattr: options.xattrSupport,
    exclude: options.exclude,
    ignoreCase: options.ignoreCase,
    wild: [...options.wild],
    wildDir: [...options.wildDir],
    wildFile: [...options.wildFile],
    regex: [...options.regex],
    regexDir: [...options.regexDir],
    regexFile: [...options.regexFile],
    fsType: [...options.fsType],
    noAtime: options.noAtime,
    checkFileChanges: options.checkFileChanges,
    mtimeOnly: options.mtimeOnly,
    baseLetters: options.baseJob ?? "",
    accurateLetters: options.accurate ?? "",
    verifyLetters: options.verify ?? "",
    digestAlways: DIGEST_LETTER.test(letters),
    blockSize: options.blockSizeBytes,
    skipFree: options.skipFree === true,
    stripPath: options.stripPath,
    readFifo: options.readFifo,
    honorNoDump: options.honorNoDump === true,
  };
}
