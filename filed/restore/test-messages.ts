/** Messages of a restore made by hand, and a restore of them: for tests. */
import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { readdirSync } from "node:fs";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { Compressor } from "../../common/format/zstd.js";
import { encodeBlock, encodeJson, type JobMessage } from "../../proto/data/backup.js";
import { encodeData, type Piece, type RestoreEnd, RestoreKind } from "../../proto/data/restore.js";
import { type RestoreOptions, type RestoreTotals, runRestore } from "./restore.js";

const own = { uid: process.geteuid!(), gid: process.getegid!() };

export function noise(size: number, seed: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function row(path: string, type: EntryType, fields: Partial<Row> = {}): Row {
  const mode = type === EntryType.directory ? 0o755 : 0o644;
  return { ...emptyRow(path.replaceAll("/", "\0"), type), mode, ...own, mtimeSec: 1_000_000, ...fields };
}

export function file(path: string, content: Buffer, fields: Partial<Row> = {}): Row {
  const some = content.length > 0 ? { content: contentDigest(content) } : {};
  return row(path, EntryType.file, { size: content.length, ...some, ...fields });
}

export function block(rows: Row[]): Buffer {
  const writer = new BlockWriter({ state: false });
  for (const each of [...rows].sort((a, b) => (a.key < b.key ? -1 : 1))) writer.add(each);
  return writer.finish();
}

export const rows = (kind: number, ...list: Row[]): Buffer => encodeBlock(kind, block(list));

/** A data message with one whole file per row. */
export function data(...files: [Row, Buffer][]): Buffer {
  const sorted = [...files].sort(([a], [b]) => (a.key < b.key ? -1 : 1));
  const pieces: Piece[] = [];
  let offset = 0;
  sorted.forEach(([each, content], index) => {
    pieces.push({
      row: index,
      fileOffset: 0,
      frameOffset: offset,
      length: content.length,
      digest: contentDigest(content),
    });
    offset += content.length;
    assert.equal(each.size, content.length);
  });
  const raw = Buffer.concat(sorted.map(([, content]) => content));
  return encodeData(block(sorted.map(([each]) => each)), pieces, raw.length, new Compressor(1).compress(raw));
}

/** A data message with pieces of one file. */
export function pieces(of: Row, ...list: { at: number; bytes: Buffer; digest?: Buffer }[]): Buffer {
  let offset = 0;
  const found = list.map(({ at, bytes, digest }) => {
    const piece = {
      row: 0,
      fileOffset: at,
      frameOffset: offset,
      length: bytes.length,
      digest: digest ?? contentDigest(bytes),
    };
    offset += bytes.length;
    return piece;
  });
  const raw = Buffer.concat(list.map(({ bytes }) => bytes));
  return encodeData(block([of]), found, raw.length, new Compressor(1).compress(raw));
}

export const end = (fields: Partial<RestoreEnd> = {}): Buffer =>
  encodeJson(RestoreKind.end, { files: 0, bytes: 0, failed: 0, ...fields });

export interface Outcome {
  totals: RestoreTotals;
  messages: JobMessage[];
  errors: string[];
  /** Messages that were released. */
  released: number;
}

export async function restoreInto(
  messages: Buffer[],
  options: Partial<RestoreOptions> & { where: string },
): Promise<Outcome> {
  const told: JobMessage[] = [];
  let released = 0;
  async function* incoming(): AsyncGenerator<Buffer> {
    for (const message of messages) yield Buffer.from(message);
  }
  // Spoilt at once, so that whoever still looks at it fails.
  const release = (message: Buffer): void => {
    released++;
    message.fill(0xff);
  };
  const totals = await runRestore({
    stream: { incoming: incoming(), release },
    replace: "always",
    restoreRoots: [],
    reportFiles: false,
    signal: new AbortController().signal,
    onMessage: (message) => told.push(message),
    onProgress: () => undefined,
    workers: 2,
    ...options,
  });
  const errors = told.filter(({ type }) => type === "error").map(({ text }) => text);
  return { totals, messages: told, errors, released };
}

export function leftovers(path: string): string[] {
  return readdirSync(path, { recursive: true }).filter((name) =>
    String(name).includes(".basalt-"),
  ) as string[];
}
