/** A FileSet as it is sent to the file daemon. Lists of files that lie with the director are read now. */

import { readFileSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";
import type { FileSet } from "../../proto/generated/basalt/v1/FileSet.js";
import type { OptionsBlock as SentOptions } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import type { FileSetResource, OptionsBlock } from "../config/types-file-set.js";

/** @throws BackupError FILESET_LIST when a `<file` list cannot be read, or for lists of a kind that is not supported. */
export function toSentFileSet(fileSet: FileSetResource): FileSet {
  return {
    name: fileSet.name,
    include: fileSet.include.map((block) => ({
      files: readLists(block.files, fileSet.name),
      images: [...(block.images ?? [])],
      root: block.root ?? "",
      options: block.options.map(toSentOptions),
      excludeDirContaining: [...block.excludeDirContaining],
    })),
    exclude: readLists(fileSet.excludeFiles, fileSet.name),
  };
}

/** `<file` stands for the lines of that file on the director's machine; blank ones and comments do not count. */
function readLists(files: readonly string[], name: string): string[] {
  return files.flatMap((entry) => {
    if (/^\\?\||^\\</.test(entry)) {
      const message = `FileSet "${name}": "${entry}": lists made by a command or read on the client are not supported; name the files, or a list on the director with "<FILE"`;
      throw new BackupError("FILESET_LIST", message);
    }
    if (!entry.startsWith("<")) return [entry];
    try {
      const lines = readFileSync(entry.slice(1), "utf8").split("\n");
      return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
    } catch (cause) {
      const message = `FileSet "${name}": cannot read the list of files ${describeError(cause)}`;
      throw new BackupError("FILESET_LIST", message, { cause });
    }
  });
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
  };
}
