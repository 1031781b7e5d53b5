/** Files with holes. */
import assert from "node:assert/strict";
import { closeSync, openSync, truncateSync, writeSync } from "node:fs";

/** Bytes and where they go. */
export type FilePiece = readonly [offset: number, bytes: Buffer];

/** A file of this length with these bytes in it and holes elsewhere; its path. */
export function makeSparse(path: string, size: number, pieces: readonly FilePiece[]): string {
  writeInto(path, pieces, "w");
  truncateSync(path, size);
  return path;
}

/** Overwrites parts of a file or device. */
export function writeInto(path: string, pieces: readonly FilePiece[], flags = "r+"): void {
  const fd = openSync(path, flags);
  for (const [at, bytes] of pieces) assert.equal(writeSync(fd, bytes, 0, bytes.length, at), bytes.length);
  closeSync(fd);
}
