/** What the pool is asked to read, what it answers, and how a task travels to a worker thread. */
import type { Row } from "../../common/format/row.js";
import type { ByteReader, ByteWriter } from "../../common/format/varint.js";
import type { DirectoryHandle, StatRecord } from "../sys/stat.js";

/** As written in a FileSet; a number is a zstd level (1..19). */
export type Compression = "none" | "auto" | "fast" | number;

/** What the walk saw; a file that is different when it is opened has changed under the backup. */
export type FileIdentity = Pick<
  StatRecord,
  "size" | "mtimeSec" | "mtimeNsec" | "ctimeSec" | "ctimeNsec" | "inode"
>;

/** How a disk image is read. */
export interface ImageTask {
  isDevice: boolean;
  /** A power of two, 4 KiB to 1 MiB. */
  blockSize: number;
  /** What the file systems in it call free becomes zeros. */
  skipFree: boolean;
}

/** Of an entry that is an image, by its options. */
export function imageTask(
  entry: { isDevice: boolean } | undefined,
  options: { blockSize: number; skipFree: boolean },
): ImageTask | undefined {
  if (entry === undefined) return undefined;
  return { isDevice: entry.isDevice, blockSize: options.blockSize, skipFree: options.skipFree };
}

/** One regular file (or, as an image, a block device) with bytes to read. */
export interface PackTask {
  key: string;
  /** Metadata of the tar member; `content` and `size` are what is to be found out. */
  row: Row;
  /** Allocated units of 512 bytes: fewer than the size needs means holes. */
  blocks: number;
  /** Where the file is. The pool retains a handle until the file is open; `path` is an absolute directory. */
  dir: DirectoryHandle | { path: string };
  name: string;
  /** Copied by `submit`: the caller may reuse its StatRecord. */
  identity: FileIdentity;
  compression: Compression;
  /** It is a disk image; undefined: a file like others. */
  image?: ImageTask | undefined;
  /** It is a named pipe: read until whoever writes to it has ended. */
  isFifo?: boolean;
  /** Something that the job's report should say about it. Must not throw. */
  onNote?: ((text: string) => void) | undefined;
  /** Called once, after everything that the content consists of was sent. Must not throw. */
  onDone: (result: PackResult) => void;
}

export interface PackResult {
  /** vanished: gone before it could be opened. failed: see `error`. */
  kind: "ok" | "vanished" | "failed";
  /** 32 bytes; undefined for a file that turned out empty, and unless ok. */
  content?: Buffer | undefined;
  /** `content` is the identity of a parts list (RowFlag.parts). */
  parts: boolean;
  /** Bytes as read, holes included. */
  size: number;
  /** It changed between the walk's look at it and the end of reading. */
  unstable: boolean;
  /** Bytes that came from the disk. */
  bytesRead: number;
  /** One line for people, without the path. */
  error?: string | undefined;
}

/** A task as a worker sees it. */
export interface WorkerTask {
  /** Directory descriptor, or -100 (AT_FDCWD) when `name` is an absolute path. */
  dirFd: number;
  name: string;
  key: string;
  mode: number;
  uid: number;
  gid: number;
  mtimeSec: number;
  mtimeNsec: number;
  xattrs: Buffer | undefined;
  identity: FileIdentity;
  sparse: boolean;
  compression: Compression;
  image: ImageTask | undefined;
  isFifo: boolean;
}

const COMPRESSION_CODES: readonly Compression[] = ["none", "auto", "fast"];
const AT_FDCWD = -100;

export function writeTask(out: ByteWriter, task: PackTask): void {
  const { row, identity, dir } = task;
  out.int("path" in dir ? AT_FDCWD : dir.fd);
  out.latin1("path" in dir ? `${dir.path}/${task.name}` : task.name);
  out.latin1(task.key);
  out.uint(row.mode);
  out.uint(row.uid);
  out.uint(row.gid);
  out.int(row.mtimeSec);
  out.uint(row.mtimeNsec);
  out.u8(row.xattrs === undefined ? 0 : 1);
  if (row.xattrs !== undefined) out.blob(row.xattrs);
  out.uint(identity.size);
  out.int(identity.mtimeSec);
  out.uint(identity.mtimeNsec);
  out.int(identity.ctimeSec);
  out.uint(identity.ctimeNsec);
  out.uint(identity.inode);
  out.u8(task.blocks * 512 < identity.size ? 1 : 0);
  const code = COMPRESSION_CODES.indexOf(task.compression);
  out.u8(code >= 0 ? 100 + code : Math.min(Math.max(Math.trunc(task.compression as number), 1), 19));
  const { image } = task;
  out.uint(image?.blockSize ?? 0);
  out.u8(
    (image?.isDevice === true ? 1 : 0) | (image?.skipFree === true ? 2 : 0) | (task.isFifo === true ? 4 : 0),
  );
}

export function readTask(from: ByteReader): WorkerTask {
  // In the order in which they were written. Spreading one object into another would cost more than reading all fields.
  const task: WorkerTask = {
    dirFd: from.int(),
    name: from.latin1(),
    key: from.latin1(),
    mode: from.uint(),
    uid: from.uint(),
    gid: from.uint(),
    mtimeSec: from.int(),
    mtimeNsec: from.uint(),
    xattrs: from.u8() === 1 ? from.blob() : undefined,
    identity: {
      size: from.uint(),
      mtimeSec: from.int(),
      mtimeNsec: from.uint(),
      ctimeSec: from.int(),
      ctimeNsec: from.uint(),
      inode: from.uint(),
    },
    sparse: from.u8() === 1,
    compression: compressionOf(from.u8()),
    image: undefined,
    isFifo: false,
  };
  const blockSize = from.uint();
  const bits = from.u8();
  if (blockSize > 0) task.image = { isDevice: (bits & 1) !== 0, blockSize, skipFree: (bits & 2) !== 0 };
  task.isFifo = (bits & 4) !== 0;
  return task;
}

function compressionOf(code: number): Compression {
  return code >= 100 ? COMPRESSION_CODES[code - 100]! : code;
}
