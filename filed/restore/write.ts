/**
 * Contents of files. A file is written under a temporary name in its own directory, so that a crash never leaves
 * half a file where a good one was; every piece is compared with its digest before it is written.
 */
import { ftruncateSync, writeSync } from "node:fs";
import { codeOf } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { allocate, closeFd, nextData, nextHole, openAt, unlinkAt } from "../../common/sys/files.js";
import type { Piece } from "../../proto/data/restore.js";
import { newStat, O_NONBLOCK, statFd } from "../sys/stat.js";
import type { BornRight } from "./born-right.js";
import { moveIntoPlace } from "./install.js";
import { applyRest, applyToFd, type Count } from "./metadata.js";
import { EntryError, type Place } from "./target.js";

const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const HOLE_BYTES = 4096;
const zeroBlock = Buffer.alloc(HOLE_BYTES);
const unfinished = newStat();

/** Verified bytes of a file and where they belong. */
export interface Stretch {
  fileOffset: number;
  bytes: Buffer;
}

/** @throws EntryError when the bytes are not what was backed up */
export function checkPiece(bytes: Buffer, piece: Piece): void {
  if (!contentDigest(bytes).equals(piece.digest))
    throw new EntryError("its data on the volume is damaged (digest differs)");
}

/**
 * Writes a whole file of at most one piece (empty without one) and puts it into place. `direct`: nothing was there
 * before this restore, so a file that does not exist yet is made under its own name and needs no renaming.
 */
export function writeWhole(
  place: Place,
  row: Row,
  bytes: Buffer,
  options: { temporary: string; direct: boolean; bornRight: BornRight; inherits: boolean; count: Count },
): void {
  const { temporary, direct, bornRight, inherits, count } = options;
  // An inherited ACL would change the mode.
  const mode = direct && !inherits ? bornRight.modeFor(row) : undefined;
  let name = direct ? place.name : temporary;
  let fd = createAt(place.fd, name, direct, mode);
  if (fd < 0) {
    name = temporary;
    fd = createAt(place.fd, name, false, mode);
  }
  try {
    try {
      const sparse = (row.flags & RowFlag.sparse) !== 0;
      if (bytes.length > 0) writeBytes(fd, bytes, 0, sparse);
      if (sparse) ftruncateSync(fd, row.size);
      if (mode !== undefined && bornRight.confirm(fd, row)) applyRest(fd, row, count);
      else applyToFd(fd, row, inherits, count);
    } finally {
      closeFd(fd);
    }
    if (name !== place.name) moveIntoPlace(place, name);
  } catch (error) {
    unlinkAt(place.fd, name);
    throw error;
  }
}

/** A new file; -1 when something has that name, if the caller `mayExist`. */
function createAt(fd: number, name: string, mayExist: boolean, mode = 0o600): number {
  try {
    return openAt(fd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
  } catch (error) {
    if (mayExist && codeOf(error) === "EEXIST") return -1;
    throw error;
  }
}

/**
 * Opens the unfinished file that pieces are collected in; the first one makes it. Who owns the directory may have put
 * something else in its place: a pipe that nobody reads, or another name of a file that is not theirs.
 * @throws EntryError, SysError
 */
export function openUnfinished(directory: number, name: string, access: number): number {
  const fd = openAt(directory, name, access | O_CREAT | O_NONBLOCK, 0o600);
  try {
    statFd(fd, unfinished);
    if (unfinished.type === EntryType.file && unfinished.links === 1) return fd;
    throw new EntryError("its unfinished file was exchanged for something else");
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Writes pieces of a file that other threads write pieces of too. */
export function writePieces(place: Place, row: Row, temporary: string, stretches: readonly Stretch[]): void {
  const fd = openUnfinished(place.fd, temporary, O_WRONLY);
  try {
    const sparse = (row.flags & RowFlag.sparse) !== 0;
    for (const { fileOffset, bytes } of stretches) writeBytes(fd, bytes, fileOffset, sparse);
  } finally {
    closeFd(fd);
  }
}

/** All pieces are written: length, metadata, real name. A file of zeros only has had no piece at all. */
export function finishFile(
  place: Place,
  row: Row,
  options: { temporary: string; inherits: boolean; count: Count },
): void {
  const { temporary, inherits, count } = options;
  const fd = openUnfinished(place.fd, temporary, O_WRONLY);
  try {
    try {
      ftruncateSync(fd, row.size);
      if ((row.flags & RowFlag.sparse) === 0) fillHoles(fd, row.size);
      applyToFd(fd, row, inherits, count);
    } finally {
      closeFd(fd);
    }
    moveIntoPlace(place, temporary);
  } catch (error) {
    unlinkAt(place.fd, temporary);
    throw error;
  }
}

function writeBytes(fd: number, bytes: Buffer, offset: number, sparse: boolean): void {
  if (!sparse) {
    writeAll(fd, bytes, offset);
    return;
  }
  // Zeros are left out block by block, also where a piece or the file ends within a block: the file is new.
  let start = 0;
  let at = 0;
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + HOLE_BYTES - ((offset + at) % HOLE_BYTES));
    if (bytes[at] === 0 && zeroBlock.compare(bytes, at, end, 0, end - at) === 0) {
      if (at > start) writeAll(fd, bytes.subarray(start, at), offset + start);
      start = end;
    }
    at = end;
  }
  if (at > start) writeAll(fd, bytes.subarray(start, at), offset + start);
}

export function writeAll(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/** A file that had no holes gets none: their space is reserved, or zeros are written. */
function fillHoles(fd: number, size: number): void {
  // Reserving takes away the kernel's choice of where the data is to lie: only where some is missing.
  const first = nextHole(fd, 0);
  if (first < 0 || first >= size) return;
  try {
    allocate(fd, 0, size);
    return;
  } catch (error) {
    if (codeOf(error) !== "EOPNOTSUPP" && codeOf(error) !== "ENOSYS" && codeOf(error) !== "ENOTSUP")
      throw error;
  }
  const zeros = Buffer.alloc(1024 * 1024);
  for (let at = first; at >= 0 && at < size; at = nextHole(fd, at)) {
    const found = nextData(fd, at);
    const end = found < 0 ? size : found;
    for (; at < end; at += zeros.length)
      writeAll(fd, zeros.subarray(0, Math.min(zeros.length, end - at)), at);
    at = end;
  }
}
