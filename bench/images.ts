/** Disk images for the benchmark: made from a tree without mounting anything, changed in many places, compared. */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { nextData, nextHole } from "../common/sys/files.js";
import { seededBytes } from "../test/helpers/raw-trees.js";
import { runProgram } from "../test/helpers/tree-ops.js";

const BLOCK_BYTES = 4096;
const READ_BYTES = 4 << 20;

/** How much of an image changes, and in how many places. */
export interface ImageChange {
  places: number;
  bytes: number;
}

/** Where an image has data: what is between is holes. */
function* extents(fd: number): Generator<{ start: number; end: number }> {
  const { size } = fstatSync(fd);
  let end = 0;
  while (end < size) {
    const start = nextData(fd, end);
    if (start < 0 || start >= size) return;
    const hole = nextHole(fd, start);
    end = hole < 0 ? size : Math.min(hole, size);
    yield { start, end };
  }
}

/** Makes a sparse ext4 image that holds a tree, with free space that was never written. */
export async function makeImage(file: string, tree: string, sizeBytes: number): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.partial`;
  rmSync(partial, { force: true });
  const same = "-U 6b1d8f2e-9c1b-4c0a-8f55-0123456789ab -E lazy_itable_init=1,lazy_journal_init=1".split(" ");
  const args = ["-q", "-F", "-t", "ext4", "-m", "0", ...same, "-d", tree, partial, `${sizeBytes / 1024}k`];
  // Not every user has its directory in the path.
  await runProgram("sh", ["-c", 'PATH="$PATH:/usr/sbin:/sbin" exec mke2fs "$@"', "sh", ...args]);
  renameSync(partial, file);
}

/** Makes a sparse image without a file system: `places` times 64 KiB of data, evenly spread. */
export function makeSparse(file: string, sizeBytes: number, places: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.partial`;
  const fd = openSync(partial, "w");
  ftruncateSync(fd, sizeBytes);
  for (let place = 0; place < places; place++) {
    const at = Math.floor((sizeBytes / places) * (place + 0.5));
    writeSync(fd, seededBytes(`sparse ${place}`, 65_536), 0, undefined, at - (at % 65_536));
  }
  closeSync(fd);
  renameSync(partial, file);
}

/**
 * Lengths as a night leaves them in a file system: three quarters of the places are single blocks (inodes, bitmaps,
 * directories), some are a few blocks, and what remains of the bytes is written in longer runs.
 */
export function changeLengths({ places, bytes }: ImageChange): number[] {
  const lengths = Array.from({ length: places }, (_, place) => {
    const kind = place % 20;
    return kind < 15 ? BLOCK_BYTES : kind < 18 ? 4 * BLOCK_BYTES : 0;
  });
  const long = lengths.filter((length) => length === 0).length;
  const left = bytes - lengths.reduce((sum, length) => sum + length, 0);
  const run = Math.max(1, Math.round(left / Math.max(1, long) / BLOCK_BYTES)) * BLOCK_BYTES;
  return lengths.map((length) => (length === 0 ? run : length));
}

/** Half of every block compresses well, like much that a file system writes. */
function changedBytes(seed: string, length: number): Buffer {
  return seededBytes(seed, length + BLOCK_BYTES).subarray(BLOCK_BYTES / 2, BLOCK_BYTES / 2 + length);
}

/**
 * Writes into an image where it has data, `places` times, evenly spread. undoChange() takes it back, in a later run of
 * the benchmark too. Gives what was changed.
 */
export function changeImage(file: string, seed: string, change: ImageChange): ImageChange {
  const lengths = changeLengths(change);
  const fd = openSync(file, "r+");
  const undo = openSync(undoFile(file), "w");
  try {
    const found = [...extents(fd)];
    const total = found.reduce((sum, { start, end }) => sum + end - start, 0);
    let [index, before, bytes] = [0, 0, 0];
    for (const [place, wanted] of lengths.entries()) {
      const at = Math.floor((total / lengths.length) * (place + 0.3));
      for (let extent = found[index]!; before + extent.end - extent.start <= at; extent = found[++index]!)
        before += extent.end - extent.start;
      const { start, end } = found[index]!;
      const offset = start + Math.floor((at - before) / BLOCK_BYTES) * BLOCK_BYTES;
      const length = Math.min(wanted, end - offset);
      saveOld(fd, undo, offset, length);
      writeSync(fd, changedBytes(`${seed} ${place}`, length), 0, length, offset);
      bytes += length;
    }
    return { places: lengths.length, bytes };
  } finally {
    closeSync(undo);
    closeSync(fd);
  }
}

function undoFile(file: string): string {
  return `${file}.undo`;
}

function saveOld(fd: number, undo: number, offset: number, length: number): void {
  const head = Buffer.alloc(12);
  head.writeDoubleLE(offset);
  head.writeUInt32LE(length, 8);
  const old = Buffer.alloc(length);
  readSync(fd, old, 0, length, offset);
  writeSync(undo, Buffer.concat([head, old]));
}

/** Gives an image back the bytes that it had before the last change; nothing when there was none. */
export function undoChange(file: string): void {
  if (!existsSync(undoFile(file))) return;
  const saved = readFileSync(undoFile(file));
  const starts: number[] = [];
  for (let at = 0; at + 12 <= saved.length; at += 12 + saved.readUInt32LE(at + 8)) starts.push(at);
  const fd = openSync(file, "r+");
  // The last first: places may overlap.
  for (const at of starts.toReversed()) {
    const length = Math.min(saved.readUInt32LE(at + 8), saved.length - at - 12);
    writeSync(fd, saved, at + 12, length, saved.readDoubleLE(at));
  }
  closeSync(fd);
  rmSync(undoFile(file));
}

/** Size and allocated bytes of an image, for people. */
export function imageFacts(file: string): string {
  const { size, blocks } = statSync(file);
  return `${(size / 2 ** 30).toFixed(2)} GiB with ${((blocks * 512) / 1e9).toFixed(2)} GB in it`;
}

/** Where two images differ: sizes, and extents of either one that the other does not have; holes are zeros. */
export function compareImages(first: string, second: string): string[] {
  const fds = [openSync(first, "r"), openSync(second, "r")] as const;
  try {
    const sizes = fds.map((fd) => fstatSync(fd).size);
    const found = sizes[0] === sizes[1] ? [] : [`sizes: ${sizes[0]} and ${sizes[1]}`];
    for (const fd of fds)
      for (const { start, end } of extents(fd))
        if (!sameBytes(fds[0], fds[1], start, end)) found.push(`bytes ${start} to ${end} differ`);
    return found;
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

const readers = [Buffer.alloc(READ_BYTES), Buffer.alloc(READ_BYTES)] as const;

function sameBytes(first: number, second: number, start: number, end: number): boolean {
  for (let at = start; at < end; at += READ_BYTES) {
    const length = Math.min(READ_BYTES, end - at);
    const counts = [readSync(first, readers[0], 0, length, at), readSync(second, readers[1], 0, length, at)];
    if (counts[0] !== counts[1] || readers[0].compare(readers[1], 0, length, 0, length) !== 0) return false;
  }
  return true;
}

/** Makes a file of seededBytes, a piece at a time. */
export function writeSeeded(file: string, seed: string, sizeBytes: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const fd = openSync(file, "w");
  for (let at = 0; at < sizeBytes; at += READ_BYTES)
    writeSync(fd, seededBytes(`${seed} ${at}`, Math.min(READ_BYTES, sizeBytes - at)), 0, undefined, at);
  closeSync(fd);
}
