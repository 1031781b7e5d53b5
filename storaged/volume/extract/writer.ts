/**
 * Writes a tree below one directory. Directories are entered by descriptor, one component at a time, and symbolic
 * links are never followed, so that nothing on a volume can lead out of it. Entries come in path order; a
 * directory gets its metadata when all that lies in it is there. Closes what it opened on `finish` or `abort`.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from "node:fs";
import { BackupError } from "../../../common/errors.js";
import { baseName, isWithin, parentKey } from "../../../common/format/path.js";
import { decodeXattrs, EntryType, emptyRow, type Row, RowFlag } from "../../../common/format/row.js";
import * as native from "./native.js";

interface OpenDirectory {
  key: string;
  fd: number;
  /** To be set at the end; undefined: the directory was there before, or is none of those asked for. */
  row: Row | undefined;
}

export interface WriterOptions {
  /** Overwrite what exists. */
  replace: boolean;
  /** Told what could not be set: "owner", "mode", "time" or the name of an attribute. */
  left: (row: Row, what: string, why: string) => void;
}

const TEMPORARY = `.basalt-extract-${process.pid}`;
const NODE_BITS: Readonly<Partial<Record<EntryType, number>>> = {
  [EntryType.charDevice]: 0o020000,
  [EntryType.blockDevice]: 0o060000,
  [EntryType.fifo]: 0o010000,
};
const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(64 * 1024);
const SET_ID_BITS = 0o6000;

export class TreeWriter {
  readonly #options: WriterOptions;
  /** From the root down to the directory of the newest entry. */
  readonly #open: OpenDirectory[] = [];
  readonly #rootIsNew: boolean;

  /** Opens `directory`, making it when it is missing. @throws BackupError EXTRACT_FAILED */
  constructor(directory: string, options: WriterOptions) {
    this.#options = options;
    try {
      this.#rootIsNew = mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
      const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      this.#open.push({ key: "", fd, row: undefined });
    } catch (cause) {
      throw new BackupError("EXTRACT_FAILED", `cannot extract to ${directory}`, { cause });
    }
  }

  /** A directory, made when it is missing. */
  directory(row: Row): void {
    if (row.key === "") {
      if (this.#rootIsNew || this.#options.replace) this.#open[0]!.row = row;
      return;
    }
    this.#enter(row.key, row);
  }

  /** A symbolic link, device or fifo. */
  special(row: Row): void {
    this.#install(row, (fd, name) => {
      const bits = NODE_BITS[row.type];
      if (bits === undefined) native.makeSymlinkAt(row.target, fd, name);
      else native.makeNodeAt(fd, name, bits | 0o600, row.major, row.minor);
      this.#describe(fd, name, row);
    });
  }

  /** A further name of an entry that was written under `first`. */
  link(row: Row, first: string): void {
    const parent = parentKey(first) ?? "";
    const opened: number[] = [];
    try {
      let fd = this.#open[0]!.fd;
      for (const name of parent === "" ? [] : parent.split("\0")) {
        fd = native.openDirectoryAt(fd, name);
        opened.push(fd);
      }
      this.#install(row, (into, name) => native.linkAt(fd, baseName(first), into, name));
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  /** A file with the content that `fill` writes. When that fails nothing is left of it. */
  async file(row: Row, fill: (sink: FileSink) => Promise<void>): Promise<void> {
    const { fd, name } = this.#place(row.key);
    const made = this.#options.replace ? TEMPORARY : name;
    const file = native.createFileAt(fd, made);
    try {
      try {
        const sink = new FileSink(file, (row.flags & RowFlag.sparse) !== 0);
        await fill(sink);
        sink.end(row.size);
        this.#describe(fd, made, row);
      } finally {
        closeSync(file);
      }
      if (made !== name) native.renameAt(fd, made, name);
    } catch (error) {
      native.unlinkAt(fd, made);
      throw error;
    }
  }

  /** Metadata of the directories that are still open; the writer is closed then. */
  finish(): void {
    while (this.#open.length > 0) this.#leave();
  }

  /** Closes without more metadata. */
  abort(): void {
    for (const { fd } of this.#open.splice(0)) closeSync(fd);
  }

  #install(row: Row, make: (fd: number, name: string) => void): void {
    const { fd, name } = this.#place(row.key);
    if (!this.#options.replace) {
      make(fd, name);
      return;
    }
    make(fd, TEMPORARY);
    try {
      native.renameAt(fd, TEMPORARY, name);
      // Renaming one name of a file over another one of it does nothing.
      removeIfThere(fd, TEMPORARY);
    } catch (error) {
      removeIfThere(fd, TEMPORARY);
      throw error;
    }
  }

  /** The directory of an entry, entered, and the entry's name in it. */
  #place(key: string): { fd: number; name: string } {
    const parent = parentKey(key) ?? "";
    this.#enter(parent, undefined);
    return { fd: this.#open.at(-1)!.fd, name: baseName(key) };
  }

  /** Makes `key` the innermost open directory. */
  #enter(key: string, row: Row | undefined): void {
    while (!isWithin(this.#open.at(-1)!.key, key)) this.#leave();
    for (let top = this.#open.at(-1)!; top.key !== key; top = this.#open.at(-1)!) {
      const rest = top.key === "" ? key : key.slice(top.key.length + 1);
      const [name] = rest.split("\0", 1);
      const made = makeIfMissing(top.fd, name!);
      const fd = native.openDirectoryAt(top.fd, name!);
      const next = top.key === "" ? name! : `${top.key}\0${name}`;
      // What was there is left as it is, unless it may be replaced.
      const own = next === key && (made || this.#options.replace) ? row : undefined;
      const plain = made && own === undefined ? { ...emptyRow(next, EntryType.directory), mode: -1 } : own;
      this.#open.push({ key: next, fd, row: plain });
    }
  }

  #leave(): void {
    const { fd, row } = this.#open.pop()!;
    try {
      if (row === undefined) return;
      if (row.mode < 0) fchmodSync(fd, 0o755);
      else {
        const owned = this.#try(row, "owner", () => fchownSync(fd, row.uid, row.gid));
        this.#try(row, "mode", () => fchmodSync(fd, owned ? row.mode : row.mode & ~SET_ID_BITS));
        this.#xattrs(fd, "", row);
        this.#try(row, "time", () => native.timeAt(fd, ".", row.mtimeSec, row.mtimeNsec));
      }
    } finally {
      closeSync(fd);
    }
  }

  // Owner first: changing it takes set-id bits and capabilities away. The time last.
  #describe(fd: number, name: string, row: Row): void {
    const owned = this.#try(row, "owner", () => native.ownAt(fd, name, row.uid, row.gid));
    const mode = owned ? row.mode : row.mode & ~SET_ID_BITS;
    if (row.type !== EntryType.symlink) this.#try(row, "mode", () => native.modeAt(fd, name, mode));
    this.#xattrs(fd, name, row);
    this.#try(row, "time", () => native.timeAt(fd, name, row.mtimeSec, row.mtimeNsec));
  }

  #xattrs(fd: number, name: string, row: Row): void {
    if (row.xattrs === undefined) return;
    for (const xattr of decodeXattrs(row.xattrs))
      this.#try(row, `attribute ${xattr.name}`, () => native.setXattrAt(fd, name, xattr.name, xattr.value));
  }

  #try(row: Row, what: string, set: () => void): boolean {
    try {
      set();
      return true;
    } catch (error) {
      this.#options.left(row, what, error instanceof Error ? error.message : String(error));
      return false;
    }
  }
}

/** The bytes of one file, in order. */
export class FileSink {
  readonly #fd: number;
  readonly #sparse: boolean;
  #at = 0;

  constructor(fd: number, sparse: boolean) {
    this.#fd = fd;
    this.#sparse = sparse;
  }

  write(bytes: Buffer): void {
    if (!this.#sparse) {
      this.#put(bytes, this.#at);
      this.#at += bytes.length;
      return;
    }
    for (let from = 0; from < bytes.length; ) {
      const end = Math.min(bytes.length, from + HOLE_BYTES - ((this.#at + from) % HOLE_BYTES));
      if (ZEROS.compare(bytes, from, end, 0, end - from) !== 0)
        this.#put(bytes.subarray(from, end), this.#at + from);
      from = end;
    }
    this.#at += bytes.length;
  }

  /** So many zero bytes: a hole in a sparse file. */
  zeros(length: number): void {
    if (!this.#sparse) {
      for (let rest = length; rest > 0; rest -= ZEROS.length)
        this.#put(ZEROS.subarray(0, Math.min(rest, ZEROS.length)), this.#at + length - rest);
    }
    this.#at += length;
  }

  /** @throws BackupError EXTRACT_FAILED when that was not the whole file */
  end(size: number): void {
    if (this.#at !== size)
      throw new BackupError("EXTRACT_FAILED", `its content has ${this.#at} bytes, not ${size}`);
    ftruncateSync(this.#fd, size);
  }

  #put(bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
  }
}

function makeIfMissing(fd: number, name: string): boolean {
  try {
    native.makeDirectoryAt(fd, name, 0o700);
    return true;
  } catch (error) {
    if (error instanceof native.CallFailed && error.exists) return false;
    throw error;
  }
}

function removeIfThere(fd: number, name: string): void {
  try {
    native.unlinkAt(fd, name);
  } catch (error) {
    if (!(error instanceof native.CallFailed)) throw error;
  }
}
