/** Brings a state back from volume files alone: entries of a tree, their contents found by digest, into a directory. */
import { BackupError, codeOf, describeError } from "../../../common/errors.js";
import { DIGEST_BYTES, PART_BYTES, ZERO_DIGEST } from "../../../common/format/content.js";
import { isWithin } from "../../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../../common/format/row.js";
import { Contents } from "./contents.js";
import type { FileSink } from "./file-sink.js";
import { isFull } from "./metadata.js";
import type { ListRecord, Survey } from "./survey.js";
import { type TreeEntry, treeOf } from "./tree.js";
import { TreeWriter } from "./writer.js";

export interface ExtractOptions {
  /** Keys; what lies at or below one of them is extracted. Empty: everything. */
  keys: readonly string[];
  directory: string;
  replace: boolean;
  /** Told about every entry that was not extracted, and why. */
  failed: (row: Row, why: string) => Promise<void>;
  /** Told about metadata that could not be set. */
  left: (row: Row, what: string, why: string) => void;
}

export interface ExtractCounts {
  entries: number;
  failed: number;
}

/** True for a row that was asked for. */
export function isWanted(row: Row, keys: readonly string[]): boolean {
  return keys.length === 0 || keys.some((key) => isWithin(key, row.key));
}

/**
 * Extracts the state that consists of `layers`, topmost first. One entry that fails does not keep the others back.
 * @throws BackupError EXTRACT_FAILED when nothing more can be written, LIST_DAMAGED when a list cannot be read on
 */
export async function extractTree(
  survey: Survey,
  layers: readonly ListRecord[],
  options: ExtractOptions,
): Promise<ExtractCounts> {
  const contents = new Contents(survey);
  const writer = new TreeWriter(options.directory, options);
  const counts: ExtractCounts = { entries: 0, failed: 0 };
  try {
    for await (const entry of treeOf(contents, layers)) {
      if (!isWanted(entry.row, options.keys)) continue;
      try {
        await extractEntry(entry, { survey, contents, writer });
        counts.entries++;
      } catch (error) {
        if (isFatal(error)) throw error;
        counts.failed++;
        await options.failed(entry.row, describeError(error));
      }
    }
    writer.finish();
  } finally {
    writer.abort();
  }
  return counts;
}

interface Sources {
  survey: Survey;
  contents: Contents;
  writer: TreeWriter;
}

async function extractEntry({ row, parts }: TreeEntry, sources: Sources): Promise<void> {
  const { survey, contents, writer } = sources;
  if (row.type === EntryType.directory) return writer.directory(row);
  const same = row.group === undefined ? "" : entryOf(row);
  if (row.group !== undefined) {
    // The first member that was extracted stands for the group: the first of all may not have been asked for.
    const first = survey.firstName(row.group, same);
    if (first !== undefined) return writer.link(row, first);
  }
  if (row.type !== EntryType.file) writer.special(row);
  else await writer.file(row, (sink) => fill(sink, row, parts, contents));
  if (row.group !== undefined) survey.setFirstName(row.group, row.key, same);
}

/** What names of one file have in common, apart from metadata. */
function entryOf({ type, size, content, target, major, minor }: Row): string {
  return JSON.stringify([type, size, content?.toString("hex") ?? "", target, major, minor]);
}

async function fill(
  sink: FileSink,
  row: Row,
  parts: AsyncIterable<Buffer>,
  contents: Contents,
): Promise<void> {
  if (row.content === undefined) return;
  if ((row.flags & RowFlag.parts) === 0) {
    sink.write(await needed(contents, row.content, row.size));
    return;
  }
  for await (const piece of parts) {
    for (let at = 0; at < piece.length; at += PART_BYTES) {
      const digest = piece.subarray(at + PART_BYTES - DIGEST_BYTES, at + PART_BYTES);
      const length = piece.readUInt32LE(at);
      if (digest.equals(ZERO_DIGEST)) sink.zeros(length);
      else sink.write(await needed(contents, digest, length));
    }
  }
}

async function needed(contents: Contents, digest: Buffer, length: number): Promise<Buffer> {
  const bytes = await contents.chunk(digest);
  if (bytes?.length === length) return bytes;
  if (bytes !== undefined) {
    const text = `content ${digest.toString("hex")} has ${bytes.length} bytes, not ${length}`;
    throw new BackupError("CONTENT_MISSING", text);
  }
  const what = contents.has(digest) ? "is damaged" : "is on none of these volumes";
  throw new BackupError("CONTENT_MISSING", `content ${digest.toString("hex")} ${what}`);
}

/** Digests of a row's content that no volume has; reads no frame. */
export async function missingContent(entry: TreeEntry, contents: Contents): Promise<boolean> {
  const { row, parts } = entry;
  if (row.content === undefined) return false;
  if ((row.flags & RowFlag.parts) === 0) return !contents.has(row.content);
  for await (const piece of parts) {
    for (let at = 0; at < piece.length; at += PART_BYTES) {
      const digest = piece.subarray(at + PART_BYTES - DIGEST_BYTES, at + PART_BYTES);
      if (!digest.equals(ZERO_DIGEST) && !contents.has(digest)) return true;
    }
  }
  return false;
}

/** Nothing after this can be written, or read, either. */
function isFatal(error: unknown): boolean {
  return isFull(error) || codeOf(error) === "LIST_DAMAGED" || !isExpected(error);
}

/** Whatever is neither ours nor the system's is a defect and must be seen. */
function isExpected(error: unknown): boolean {
  return error instanceof BackupError || (error as NodeJS.ErrnoException).syscall !== undefined;
}
