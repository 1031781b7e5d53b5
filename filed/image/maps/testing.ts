/** For tests only: disk images made by the file systems' own tools, and sources that count or falsify what is read. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { scratchDirectory } from "../../../common/scratch-directory.js";
import { type Skippable, skipWithout } from "../../../common/test-needs.js";
import { freeSpace } from "./free-space.js";
import type { ByteRange } from "./ranges.js";
import type { BlockSource } from "./source.js";

export const MIB = 1024 * 1024;
/** The last three are what xfs' own tests set: mkfs.xfs then makes file systems of less than 300 MB. */
const ENVIRONMENT = { LC_ALL: "C", TEST_DIR: "-", TEST_DEV: "-", QA_CHECK_FS: "-" };
const PATH = "/usr/sbin:/sbin:/usr/bin:/bin";

/** Runs a program to its end; returns what it wrote to stdout. @throws Error with its stderr */
export function tool(program: string, ...args: string[]): string {
  return toolWithInput("", program, ...args);
}

/** The same with something on stdin. */
export function toolWithInput(input: string, program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    input,
    env: { PATH, ...ENVIRONMENT },
    stdio: ["pipe", "pipe", "pipe"],
    maxBuffer: 64 * MIB,
    timeout: 60_000,
  }).toString("latin1");
}

/** True when all programs are there; else as `skipWithout`. @throws Error */
export function hasTools(test: Skippable, ...programs: string[]): boolean {
  const isThere = (program: string) =>
    PATH.split(":").some((directory) => {
      try {
        accessSync(join(directory, program));
        return true;
      } catch {
        return false;
      }
    });
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) return true;
  skipWithout(missing.join(" and "), test);
  return false;
}

/** A sparse file of that size in a directory of its own. */
export function emptyImage(size: number): string {
  const file = join(scratchDirectory("maps"), "disk.img");
  writeFileSync(file, "");
  resize(file, size);
  return file;
}

/** Makes the file that long. */
export function resize(file: string, size: number): void {
  const fd = openSync(file, "r+");
  ftruncateSync(fd, size);
  closeSync(fd);
}

let sample: string | undefined;

/** A directory with 150 files of 0 bytes to 60 KB and one of 1 MB, in three directories; the same one every time. */
export function sampleTree(): string {
  if (sample !== undefined) return sample;
  sample = scratchDirectory("maps-tree");
  for (let index = 0; index < 150; index++) {
    const directory = join(sample, `d${index % 3}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${index}`), randomBytes((index * index * 27) % 60_000));
  }
  writeFileSync(join(sample, "large"), randomBytes(1_000_000));
  return sample;
}

/** An open file whose descriptor is closed by `close`. It refuses reads that no map needs. */
export class ImageFile implements BlockSource {
  readonly size: number;
  reads = 0;
  /** Where was read, when wanted. */
  log: ByteRange[] | undefined;
  private readonly fd: number;

  constructor(file: string) {
    this.fd = openSync(file, "r");
    this.size = fstatSync(this.fd).size;
  }

  read(buffer: Buffer, offset: number): number {
    if (buffer.length > MIB) throw new RangeError(`${buffer.length} bytes at once`);
    this.reads += 1;
    this.log?.push({ start: offset, end: offset + buffer.length });
    return readSync(this.fd, buffer, 0, buffer.length, offset);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Another source with some bytes replaced. */
export class Patched implements BlockSource {
  reads = 0;
  private readonly patches: { at: number; bytes: Buffer }[] = [];

  constructor(
    private readonly source: BlockSource,
    private readonly maxReads = Number.POSITIVE_INFINITY,
  ) {}

  get size(): number {
    return this.source.size;
  }

  patch(at: number, bytes: Buffer): this {
    this.patches.push({ at, bytes });
    return this;
  }

  read(buffer: Buffer, offset: number): number {
    this.reads += 1;
    if (this.reads > this.maxReads) throw new RangeError("far too many reads");
    const got = this.source.read(buffer, offset);
    for (const { at, bytes } of this.patches) {
      const from = Math.max(at, offset);
      const to = Math.min(at + bytes.length, offset + got);
      if (to > from) bytes.copy(buffer, from - offset, from - at, to - at);
    }
    return got;
  }
}

/** A disk in memory. */
export class BytesSource implements BlockSource {
  constructor(readonly bytes: Buffer) {}

  get size(): number {
    return this.bytes.length;
  }

  read(buffer: Buffer, offset: number): number {
    return this.bytes.copy(buffer, 0, offset, Math.min(offset + buffer.length, this.size));
  }
}

/** What the maps say of an image file. */
export function freeOf(file: string, blockSize = 512): { notes: readonly string[]; ranges: ByteRange[] } {
  const source = new ImageFile(file);
  try {
    const found = freeSpace(source);
    return { notes: found.notes, ranges: [...found.ranges(blockSize)] };
  } finally {
    source.close();
  }
}

/** Writes a sparse copy without what lies in the ranges: as a backup that leaves them out brings it back. */
export function copyWithout(file: string, ranges: readonly ByteRange[]): string {
  const source = new ImageFile(file);
  const copy = emptyImage(source.size);
  const fd = openSync(copy, "r+");
  const buffer = Buffer.alloc(MIB);
  const zeros = Buffer.alloc(MIB);
  let at = 0;
  for (const { start, end } of [...ranges, { start: source.size, end: source.size }]) {
    for (; at < start; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, start - at));
      source.read(piece, at);
      if (!piece.equals(zeros.subarray(0, piece.length))) writeSync(fd, piece, 0, piece.length, at);
    }
    at = end;
  }
  closeSync(fd);
  source.close();
  return copy;
}

/** Do two trees have the same files with the same content? @throws Error that names the first difference */
export function assertSameTree(a: string, b: string): void {
  tool("diff", "-r", "-x", "lost+found", a, b);
}

/** Mounts an image or a device for as long as `use` runs; its result. */
export function whileMounted<T>(image: string, options: string, use: (root: string) => T): T {
  const root = scratchDirectory("maps-mount");
  const loop = statSync(image).isBlockDevice() ? "" : "loop,";
  tool("mount", "-o", `${loop}${options}`, image, root);
  try {
    return use(root);
  } finally {
    tool("umount", root);
    rmSync(root, { recursive: true, force: true });
  }
}

/** Freezes a mounted file system for as long as `use` runs; its result. */
export function whileFrozen<T>(root: string, use: () => T): T {
  tool("fsfreeze", "-f", root);
  try {
    return use();
  } finally {
    tool("fsfreeze", "-u", root);
  }
}

/** Fills, leaves holes, and fills some of them again. */
function fragment(root: string): void {
  for (let index = 0; index < 2000; index++)
    writeFileSync(join(root, `f${index}`), Buffer.alloc((index % 5) * 1000, index));
  tool("sync", "-f", root);
  for (let index = 0; index < 2000; index += index % 3 === 0 ? 1 : 2) rmSync(join(root, `f${index}`));
  for (let index = 0; index < 100; index++)
    writeFileSync(join(root, `g${index}`), Buffer.alloc(index * 500, index));
}

/**
 * Lets the kernel write to the file system in an image. Returns what was said of it while it was in use, a copy made in a
 * freeze, and a copy of its files.
 */
export function writtenByKernel(file: string): { note: string; frozen: string; tree: string } {
  const frozen = `${file}.frozen`;
  const tree = scratchDirectory("maps-kept");
  return whileMounted(file, "rw", (root) => {
    fragment(root);
    tool("sync", "-f", root);
    const note = freeOf(file).notes[0]!;
    tool("cp", "-a", `${root}/.`, tree);
    whileFrozen(root, () => tool("cp", "--sparse=always", file, frozen));
    return { note, frozen, tree };
  });
}
