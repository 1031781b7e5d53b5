/**
 * Volumes as files of a local (or network) file system. Files are made with mode 0600, opened without following
 * symbolic links, and only regular files are accepted, so that a fifo in their place cannot hang the daemon.
 */
import { close, constants, fdatasync, fstat, ftruncate, open, read, writev } from "node:fs";
import { lstat, open as openHandle, readdir, rename, unlink } from "node:fs/promises";
import { BackupError } from "../../common/errors.js";
import type { OpenMode, Store, StoreFile, StoreStat } from "./store.js";
import { storeError } from "./store-error.js";

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;

/** Writes buffers at a position and resolves to the bytes written, which may be fewer. */
export type WriteVector = (fd: number, buffers: readonly Uint8Array[], position: number) => Promise<number>;

const systemWrite: WriteVector = (fd, buffers, position) =>
  new Promise((resolve, reject) => {
    writev(fd, buffers as Uint8Array[], position, (error, written) =>
      error ? reject(error) : resolve(written),
    );
  });

export class FileStore implements Store {
  readonly #write: WriteVector;

  /** `write` replaces the system call, for tests of short and failing writes. */
  constructor(options: { write?: WriteVector } = {}) {
    this.#write = options.write ?? systemWrite;
  }

  async create(path: string): Promise<StoreFile> {
    const fd = await openFd("create", path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
    return new LocalFile(fd, path, 0, this.#write);
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    // O_NONBLOCK: opening a fifo returns at once instead of waiting for a writer.
    const fd = await openFd("open", path, (mode === "read" ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = await call<{ size: number; isFile(): boolean }>("open", path, (done) => fstat(fd, done));
      if (!stat.isFile()) throw new BackupError("STORE_IO", `Cannot open ${path}: not a regular file`);
      return new LocalFile(fd, path, stat.size, this.#write);
    } catch (error) {
      close(fd, () => undefined);
      throw error;
    }
  }

  async stat(path: string): Promise<StoreStat | undefined> {
    try {
      const { size, mtimeMs } = await lstat(path);
      return { sizeBytes: size, mtimeMs };
    } catch (cause) {
      const error = storeError("examine", path, cause);
      if (error.code === "STORE_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async list(directory: string): Promise<string[]> {
    const entries = await readdir(directory, { withFileTypes: true }).catch((cause: unknown) => {
      throw storeError("list", directory, cause);
    });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(from, to).catch((cause: unknown) => {
      throw storeError("rename", from, cause);
    });
  }

  async unlink(path: string): Promise<void> {
    await unlink(path).catch((cause: unknown) => {
      throw storeError("remove", path, cause);
    });
  }

  async syncDirectory(directory: string): Promise<void> {
    try {
      const handle = await openHandle(directory, O_RDONLY | O_DIRECTORY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw storeError("sync directory", directory, cause);
    }
  }
}

class LocalFile implements StoreFile {
  readonly path: string;
  readonly #fd: number;
  readonly #write: WriteVector;
  #size: number;
  #closed = false;

  constructor(fd: number, path: string, size: number, write: WriteVector) {
    this.#fd = fd;
    this.path = path;
    this.#size = size;
    this.#write = write;
  }

  get size(): number {
    return this.#size;
  }

  async append(buffers: readonly Uint8Array[]): Promise<void> {
    this.#checkOpen();
    let rest = buffers.filter((buffer) => buffer.length > 0);
    let position = this.#size;
    while (rest.length > 0) {
      let written: number;
      try {
        written = await this.#write(this.#fd, rest, position);
      } catch (cause) {
        throw storeError("write", this.path, cause);
      }
      if (written <= 0) throw new BackupError("STORE_IO", `Cannot write ${this.path}: nothing was written`);
      position += written;
      rest = skip(rest, written);
    }
    this.#size = position;
  }

  async readAt(into: Uint8Array, position: number): Promise<number> {
    this.#checkOpen();
    let filled = 0;
    while (filled < into.length) {
      const from = filled;
      const count = await call<number>("read", this.path, (done) =>
        read(this.#fd, into, from, into.length - from, position + from, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  async sync(): Promise<void> {
    this.#checkOpen();
    await call<void>("sync", this.path, (done) => fdatasync(this.#fd, done));
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen();
    if (size > this.#size) throw new RangeError(`truncate to ${size} beyond ${this.#size}`);
    await call<void>("truncate", this.path, (done) => ftruncate(this.#fd, size, done));
    this.#size = size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await call<void>("close", this.path, (done) => close(this.#fd, done));
  }

  // A closed descriptor's number may already belong to another file.
  #checkOpen(): void {
    if (this.#closed) throw new BackupError("STORE_IO", `${this.path} is closed`);
  }
}

/** What is left of `buffers` after their first `bytes`. */
function skip(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  let first = 0;
  while (first < buffers.length && left >= buffers[first]!.length) left -= buffers[first++]!.length;
  const rest = buffers.slice(first);
  if (left > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(left);
  return rest;
}

function openFd(verb: string, path: string, flags: number): Promise<number> {
  return call<number>(verb, path, (done) => open(path, flags, 0o600, done));
}

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

function call<T>(verb: string, path: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(storeError(verb, path, error)) : resolve(value as T)));
  });
}
