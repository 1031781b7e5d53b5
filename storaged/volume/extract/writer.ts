/**
 * Writes a tree below one directory. Directories are entered by descriptor, one component at a time, and symbolic
 * links are never followed, so that nothing on a volume can lead out of it. Entries come in path order; a
 * directory gets its metadata when all that lies in it is there. Closes what it opened on `finish` or `abort`.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync } from "node:fs";
import { BackupError } from "../../../common/errors.js";
import { baseName, parentKey } from "../../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../../common/format/row.js";
import * as files from "../../../common/sys/files.js";
import { Directories, O_DIRECTORY } from "./directories.js";
import { FileSink } from "./file-sink.js";
import { describeFd, describePath, type Left } from "./metadata.js";

export interface WriterOptions {
  /** Overwrite what exists. */
  replace: boolean;
  /** Told what could not be set: "owner", "mode", "time" or the name of an attribute. */
  left: Left;
}

const NODES: Readonly<Partial<Record<EntryType, "char" | "block" | "fifo">>> = {
  [EntryType.charDevice]: "char",
  [EntryType.blockDevice]: "block",
  [EntryType.fifo]: "fifo",
};
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_PATH = 0o10000000;

export class TreeWriter {
  readonly #options: WriterOptions;
  readonly #directories: Directories;
  /** Nobody who may write to a directory that exists can make it first. */
  readonly #temporary = `.basalt-extract-${randomBytes(6).toString("hex")}`;

  /** Opens `directory`, making it when it is missing. @throws BackupError EXTRACT_FAILED */
  constructor(directory: string, options: WriterOptions) {
    this.#options = options;
    this.#directories = new Directories(directory, options);
  }

  /** A directory, made when it is missing. */
  directory(row: Row): void {
    if (row.key === "") this.#directories.root(row);
    else this.#directories.enter(row.key, row);
  }

  /** A symbolic link, device or fifo. */
  special(row: Row): void {
    this.#install(row, (fd, name) => {
      const node = NODES[row.type];
      if (node === undefined) files.makeSymlinkAt(row.target, fd, name);
      else files.makeNodeAt(fd, name, node, 0o600, row.major, row.minor);
      // From here on by descriptor: in a directory that exists somebody else may exchange the name.
      const made = files.openAt(fd, name, O_PATH);
      try {
        checkMade(made, row.type);
        describePath(made, row, this.#options.left);
      } finally {
        closeSync(made);
      }
    });
  }

  /** A further name of an entry that was written under `first`. */
  link(row: Row, first: string): void {
    const parent = parentKey(first) ?? "";
    const root = this.#directories.rootFd;
    let fd = root;
    try {
      for (const name of parent === "" ? [] : parent.split("\0")) {
        const next = files.openAt(fd, name, O_DIRECTORY);
        if (fd !== root) closeSync(fd);
        fd = next;
      }
      this.#install(row, (into, name) => files.linkAt(fd, baseName(first), into, name));
    } finally {
      if (fd !== root) closeSync(fd);
    }
  }

  /** A file with the content that `fill` writes. When that fails nothing is left of it. */
  async file(row: Row, fill: (sink: FileSink) => Promise<void>): Promise<void> {
    const { fd, name } = this.#place(row.key);
    const made = this.#options.replace ? this.#temporary : name;
    const file = files.openAt(fd, made, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      try {
        const sink = new FileSink(file, (row.flags & RowFlag.sparse) !== 0);
        await fill(sink);
        sink.end(row.size);
        describeFd(file, row, this.#directories.inheritsAcl, this.#options.left);
      } finally {
        closeSync(file);
      }
      if (made !== name) files.renameAt(fd, made, fd, name);
    } catch (error) {
      removeIfThere(fd, made);
      throw error;
    }
  }

  /** Metadata of the directories that are still open; the writer is closed then. */
  finish(): void {
    this.#directories.finish();
  }

  /** Closes without more metadata. */
  abort(): void {
    this.#directories.abort();
  }

  #install(row: Row, make: (fd: number, name: string) => void): void {
    const { fd, name } = this.#place(row.key);
    if (!this.#options.replace) {
      make(fd, name);
      return;
    }
    const temporary = this.#temporary;
    try {
      make(fd, temporary);
      files.renameAt(fd, temporary, fd, name);
    } finally {
      // Renaming one name of a file over another one of it does nothing.
      removeIfThere(fd, temporary);
    }
  }

  /** The directory of an entry, entered, and the entry's name in it. */
  #place(key: string): { fd: number; name: string } {
    // The root is a directory whatever a list says; its name would be empty.
    if (key === "") throw new BackupError("EXTRACT_FAILED", "the root of a list is no directory");
    return { fd: this.#directories.enter(parentKey(key)!, undefined), name: baseName(key) };
  }
}

/** In a directory that others may write to, a name may stand for something else before it can be opened. */
function checkMade(fd: number, type: EntryType): void {
  const found = fstatSync(fd);
  const isType =
    (type === EntryType.symlink && found.isSymbolicLink()) ||
    (type === EntryType.fifo && found.isFIFO()) ||
    (type === EntryType.charDevice && found.isCharacterDevice()) ||
    (type === EntryType.blockDevice && found.isBlockDevice());
  if (!isType || found.nlink > 1)
    throw new BackupError("EXTRACT_FAILED", "somebody put something else in its place meanwhile");
}

function removeIfThere(fd: number, name: string): void {
  try {
    files.unlinkAt(fd, name);
  } catch {
    // Gone already, or nothing that can be helped: the error that led here counts.
  }
}
