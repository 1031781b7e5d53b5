/** The options of one Options block, as they come from the director. */
import { BackupError } from "../../common/errors.js";
import { isBlockSize } from "../../common/format/content.js";
import { verifyLetters } from "../../common/format/row-differences.js";
import type { OptionsBlock__Output } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import type { Compression } from "../pack/task.js";
import { asksForDigest, baseComparison, ownComparison } from "./comparison.js";
import type { EntryOptions } from "./file-set.js";

/** What an Include without Options means. */
export const DEFAULT_OPTIONS: OptionsBlock__Output = {
  compression: "auto",
  oneFs: true,
  sparse: false,
  recurse: true,
  hardLinks: true,
  acl: true,
  xattr: true,
  exclude: false,
  ignoreCase: false,
  wild: [],
  wildDir: [],
  wildFile: [],
  regex: [],
  regexDir: [],
  regexFile: [],
  fsType: [],
  noAtime: false,
  checkFileChanges: false,
  mtimeOnly: false,
  baseLetters: "",
  accurateLetters: "",
  verifyLetters: "",
  digestAlways: false,
  blockSize: 0,
  skipFree: false,
  stripPath: 0,
  readFifo: false,
  honorNoDump: false,
};

const DEFAULT_BLOCK_BYTES = 64 * 1024;

function blockSizeOf(bytes: number): number {
  if (bytes === 0) return DEFAULT_BLOCK_BYTES;
  if (isBlockSize(bytes)) return bytes;
  throw new BackupError("FILESET_INVALID", `BlockSize ${bytes} is not a power of two from 4k to 1M`);
}

/** @throws BackupError FILESET_INVALID */
export function entryOptions(block: OptionsBlock__Output): EntryOptions {
  const letters = [block.baseLetters, block.accurateLetters, block.verifyLetters];
  return {
    compression: compressionOf(block.compression),
    oneFs: block.oneFs,
    recurse: block.recurse,
    hardLinks: block.hardLinks,
    acl: block.acl,
    xattr: block.xattr,
    fsTypes: block.fsType.map((type) => type.toLowerCase()),
    own: ownComparison(block.accurateLetters, block.mtimeOnly),
    base: baseComparison(block.baseLetters),
    verify: verifyLetters(block.verifyLetters),
    digestAlways: block.digestAlways || letters.some(asksForDigest),
    blockSize: blockSizeOf(block.blockSize),
    skipFree: block.skipFree,
    readFifo: block.readFifo,
    honorNoDump: block.honorNoDump,
  };
}

function compressionOf(text: string): Compression {
  if (text === "" || text === "auto") return "auto";
  if (text === "none" || text === "fast") return text;
  const level = Number(text);
  if (Number.isInteger(level) && level >= 1 && level <= 19) return level;
  throw new BackupError("FILESET_INVALID", `compression "${text}" is none of none, auto, fast, 1 to 19`);
}
