/** What was read from a named pipe is written to the pipe that is at its place now (ReadFifo). */
import { ftruncateSync, readSync } from "node:fs";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { closeFd, unlinkAt } from "../../common/sys/files.js";
import { type FifoTarget, writeFifo } from "../sys/fifo.js";
import { newStat, statIfThere } from "../sys/stat.js";
import type { Place } from "./target.js";
import { openUnfinished } from "./write.js";

const O_RDWR = 2;
const CHUNK_BYTES = 256 * 1024;
const there = newStat();

/** False for content of a file like others, and where no pipe is: such content becomes a plain file. */
export function goesToFifo(place: Place, row: Row): boolean {
  if ((row.flags & RowFlag.fifo) === 0) return false;
  return statIfThere(place.fd, place.name, there) && there.type === EntryType.fifo;
}

/** @throws Error when nobody reads */
export function feedWhole(target: FifoTarget, bytes: Buffer): void {
  let rest: Buffer | undefined = bytes.length > 0 ? bytes : undefined;
  writeFifo(target, () => {
    const now = rest;
    rest = undefined;
    return now;
  });
}

/** Pieces come in the order of the volumes: they were collected in a file, which is removed. @throws as feedWhole */
export function feedFile(target: FifoTarget, row: Row, temporary: string): void {
  const fd = openUnfinished(target.fd, temporary, O_RDWR);
  try {
    ftruncateSync(fd, row.size);
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let at = 0;
    writeFifo(target, () => {
      const count = readSync(fd, chunk, 0, CHUNK_BYTES, at);
      at += count;
      return count === 0 ? undefined : chunk.subarray(0, count);
    });
  } finally {
    closeFd(fd);
    unlinkAt(target.fd, temporary);
  }
}
