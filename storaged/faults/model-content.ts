/** Rows and content of a model's files: what filed would make of them. */

import {
  contentDigest,
  encodePart,
  findCut,
  MAX_WHOLE_BYTES,
  PART_BYTES,
  PartsIdentity,
} from "../../common/format/content.js";
import { isBelow } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { encodeFrame } from "../../proto/data/backup.js";
import { frameOf } from "../session/fake-filed.js";
import type { Inode, ModelTree } from "./tree.js";

/** A part of a file that has to be read: the file itself, or a chunk of a large one. */
export interface Chunk {
  key: string;
  bytes: Buffer;
  digest: Buffer;
  part: boolean;
}

/** A list of parts to send. */
export interface Parts {
  list: Buffer;
  identity: Buffer;
  size: number;
}

/** The row of an entry, but for what its content says. */
export function rowOf(key: string, inode: Inode, group: string | undefined): Row {
  const { type, mode, uid, mtimeSec, content, target } = inode;
  const size = type === EntryType.file ? content.length : 0;
  return { ...emptyRow(key, type), mode, uid, mtimeSec, size, target, group };
}

const identities = new WeakMap<Buffer, Buffer>();

/** What a row says of this content: its digest, or that of its list of parts. */
export function identityOf(content: Buffer): Buffer {
  let identity = identities.get(content);
  if (identity === undefined) {
    const chunks = () => contentChunks(content).map((bytes) => ({ bytes, digest: contentDigest(bytes) }));
    identity = content.length <= MAX_WHOLE_BYTES ? contentDigest(content) : partsOf(chunks()).identity;
    identities.set(content, identity);
  }
  return identity;
}

/** The encoded list of parts and its identity. */
export function partsOf(chunks: readonly { bytes: Buffer; digest: Buffer }[]): {
  list: Buffer;
  identity: Buffer;
} {
  const list = Buffer.alloc(chunks.length * PART_BYTES);
  chunks.reduce((to, { bytes, digest }) => encodePart(list, to, bytes.length, digest), 0);
  const identity = new PartsIdentity();
  identity.add(list);
  return { list, identity: identity.digest() };
}

/** The chunks that large content is cut into. */
export function contentChunks(content: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0; start < content.length; ) {
    const end = findCut(content, start, content.length);
    chunks.push(content.subarray(start, end));
    start = end;
  }
  return chunks;
}

/** Rows that take away what a list below (its keys) has and the tree has not: one for each subtree. */
export function* deletions(below: Iterable<string>, tree: ModelTree): Generator<Row> {
  let gone: string | undefined;
  for (const key of [...below].sort()) {
    if (tree.names.has(key) || hiddenByFile(key, tree)) continue;
    if (gone !== undefined && isBelow(gone, key)) continue;
    gone = key;
    yield emptyRow(key, EntryType.deleted);
  }
}

/** A file stands where a directory above `key` was. */
function hiddenByFile(key: string, tree: ModelTree): boolean {
  for (let cut = key.lastIndexOf("\0"); cut > 0; cut = key.lastIndexOf("\0", cut - 1)) {
    const above = tree.names.get(key.slice(0, cut));
    if (above !== undefined) return above.type !== EntryType.directory;
  }
  return false;
}

/** A frame that is right in everything but its content. */
export function lyingFrame(jobId: number, chunks: readonly { key: string; bytes: Buffer }[]): Buffer {
  const { entries } = frameOf(jobId, chunks);
  const lies = chunks.map(({ key, bytes }) => ({ key, bytes: Buffer.alloc(bytes.length, "lie") }));
  const { rawBytes, data } = frameOf(jobId, lies);
  return encodeFrame(rawBytes, entries, data);
}

/** `size` at a time, in order; all of them without it. At least one group. */
export function inGroups(keys: readonly string[], size = Math.max(1, keys.length)): string[][] {
  const count = Math.max(1, Math.ceil(keys.length / size));
  return Array.from({ length: count }, (_, i) => keys.slice(i * size, (i + 1) * size));
}
