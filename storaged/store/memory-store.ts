/**
 * A Store in memory that knows what a power cut would leave: contents count as durable when synced, names when
 * their directory was synced. For tests of what happens when a step fails, tears, or is the last one.
 */
import { basename, dirname, normalize } from "node:path";
import { BackupError } from "../../common/errors.js";
import type { OpenMode, Store, StoreFile, StoreStat } from "./store.js";
import { storeError } from "./store-error.js";

/** One call that is about to be carried out. */
export interface StoreStep {
  operation:
    | "create"
    | "open"
    | "rename"
    | "unlink"
    | "syncDirectory"
    | "append"
    | "read"
    | "sync"
    | "truncate";
  path: string;
  /** Bytes of an append; 0 for everything else. */
  bytes: number;
}

/** Makes the step fail; an append leaves its first `written` bytes in the file (Default: 0). */
export interface StoreFault {
  errno: "ENOSPC" | "EIO" | "EACCES" | "EDQUOT";
  written?: number;
}

export interface MemoryStoreOptions {
  /** Called before every step that may fail; returns a fault to inject, or throws to stand for a crash. */
  before?: (step: StoreStep) => StoreFault | undefined;
}

/** How many bytes of a file survive a crash, from `durable` (synced) up to `current`. (Default: durable) */
export type TearChoice = (path: string, durableBytes: number, currentBytes: number) => number;

class Inode {
  bytes: Buffer = Buffer.alloc(0);
  size = 0;
  /** Content of the last sync. */
  durable: Buffer = Buffer.alloc(0);

  write(buffers: readonly Uint8Array[], limit: number): void {
    for (const buffer of buffers) {
      const part = buffer.subarray(0, limit);
      limit -= part.length;
      if (this.size + part.length > this.bytes.length) {
        // A new buffer each time it grows: `durable` may be a view of the old one.
        const grown = Buffer.alloc(Math.max(this.size + part.length, this.bytes.length * 2, 1024));
        this.bytes.copy(grown, 0, 0, this.size);
        this.bytes = grown;
      }
      this.bytes.set(part, this.size);
      this.size += part.length;
    }
  }

  truncate(size: number): void {
    // What is written next must not show through a durable view.
    this.bytes = Buffer.from(this.bytes.subarray(0, size));
    this.size = size;
  }
}

export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions;
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options;
  }

  async create(path: string): Promise<StoreFile> {
    const name = normalize(path);
    this.#step("create", name);
    if (this.#names.has(name)) throw systemError("create", name, "EEXIST");
    const inode = new Inode();
    this.#names.set(name, inode);
    return this.#file(name, inode, 0, true);
  }

  async open(path: string, mode: OpenMode): Promise<StoreFile> {
    const name = normalize(path);
    this.#step("open", name);
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError("open", name, "ENOENT");
    return this.#file(name, inode, inode.size, mode === "append");
  }

  async stat(path: string): Promise<StoreStat | undefined> {
    const inode = this.#names.get(normalize(path));
    return inode === undefined ? undefined : { sizeBytes: inode.size, mtimeMs: 0 };
  }

  async list(directory: string): Promise<string[]> {
    const top = normalize(directory).replace(/(.)\/$/, "$1");
    return [...this.#names.keys()]
      .filter((name) => dirname(name) === top)
      .map((name) => basename(name))
      .sort();
  }

  async rename(from: string, to: string): Promise<void> {
    const name = normalize(from);
    this.#step("rename", name);
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError("rename", name, "ENOENT");
    this.#names.delete(name);
    this.#names.set(normalize(to), inode);
  }

  async unlink(path: string): Promise<void> {
    const name = normalize(path);
    this.#step("unlink", name);
    if (!this.#names.delete(name)) throw systemError("remove", name, "ENOENT");
  }

  async syncDirectory(directory: string): Promise<void> {
    const top = normalize(directory).replace(/(.)\/$/, "$1");
    this.#step("syncDirectory", top);
    for (const name of this.#durableNames.keys()) if (dirname(name) === top) this.#durableNames.delete(name);
    for (const [name, inode] of this.#names) if (dirname(name) === top) this.#durableNames.set(name, inode);
  }

  /** What a machine finds after a power cut at this moment, as a new store; this one stays as it is. */
  crash(options: MemoryStoreOptions = {}, tear: TearChoice = (_path, durable) => durable): MemoryStore {
    const after = new MemoryStore(options);
    for (const [name, inode] of this.#durableNames) {
      const keep = tear(name, inode.durable.length, inode.size);
      const left = new Inode();
      const source = keep > inode.durable.length ? inode.bytes : inode.durable;
      left.write([source.subarray(0, keep)], keep);
      left.durable = left.bytes.subarray(0, left.size);
      after.#names.set(name, left);
      after.#durableNames.set(name, left);
    }
    return after;
  }

  /** Content of a file as a reader sees it now: a copy. */
  contents(path: string): Buffer {
    const inode = this.#names.get(normalize(path));
    if (inode === undefined) throw systemError("open", path, "ENOENT");
    return Buffer.from(inode.bytes.subarray(0, inode.size));
  }

  /** Paths of all files, sorted. */
  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** Puts a file there, durable: to prepare a test. */
  place(path: string, content: Uint8Array): void {
    const inode = new Inode();
    inode.write([content], content.length);
    inode.durable = inode.bytes.subarray(0, inode.size);
    this.#names.set(normalize(path), inode);
    this.#durableNames.set(normalize(path), inode);
  }

  #file(path: string, inode: Inode, size: number, writable: boolean): MemoryFile {
    const step: StepHook = (operation, bytes) => this.#fault(operation, path, bytes);
    return new MemoryFile(path, inode, size, writable, step);
  }

  #fault(operation: StoreStep["operation"], path: string, bytes: number): StoreFault | undefined {
    return this.#options.before?.({ operation, path, bytes });
  }

  #step(operation: StoreStep["operation"], path: string): void {
    const fault = this.#fault(operation, path, 0);
    if (fault !== undefined) throw systemError(operation, path, fault.errno);
  }
}

type StepHook = (operation: StoreStep["operation"], bytes: number) => StoreFault | undefined;

class MemoryFile implements StoreFile {
  readonly path: string;
  readonly #inode: Inode;
  readonly #writable: boolean;
  readonly #hook: StepHook;
  #size: number;
  #closed = false;

  constructor(path: string, inode: Inode, size: number, writable: boolean, hook: StepHook) {
    this.path = path;
    this.#inode = inode;
    this.#size = size;
    this.#writable = writable;
    this.#hook = hook;
  }

  get size(): number {
    return this.#size;
  }

  async append(buffers: readonly Uint8Array[]): Promise<void> {
    this.#check("write", true);
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    const fault = this.#hook("append", bytes);
    // As a positional write does: from this handle's end on, over whatever a failed append left.
    if (this.#inode.size > this.#size) this.#inode.truncate(this.#size);
    this.#inode.write(buffers, fault === undefined ? bytes : Math.min(fault.written ?? 0, bytes));
    if (fault !== undefined) throw systemError("write", this.path, fault.errno);
    this.#size += bytes;
  }

  async readAt(into: Uint8Array, position: number): Promise<number> {
    this.#check("read", false);
    this.#step("read");
    const part = this.#inode.bytes.subarray(Math.min(position, this.#inode.size), this.#inode.size);
    const count = Math.min(part.length, into.length);
    into.set(part.subarray(0, count));
    return count;
  }

  async sync(): Promise<void> {
    this.#check("sync", false);
    this.#step("sync");
    this.#inode.durable = this.#inode.bytes.subarray(0, this.#inode.size);
  }

  async truncate(size: number): Promise<void> {
    this.#check("truncate", true);
    if (size > this.#size) throw new RangeError(`truncate to ${size} beyond ${this.#size}`);
    this.#step("truncate");
    this.#inode.truncate(size);
    this.#size = size;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #step(operation: StoreStep["operation"]): void {
    const fault = this.#hook(operation, 0);
    if (fault !== undefined) throw systemError(operation, this.path, fault.errno);
  }

  #check(verb: string, writing: boolean): void {
    if (this.#closed) throw new BackupError("STORE_IO", `${this.path} is closed`);
    if (writing && !this.#writable) throw systemError(verb, this.path, "EBADF");
  }
}

function systemError(verb: string, path: string, code: string): BackupError {
  return storeError(verb, path, Object.assign(new Error(code), { code }));
}
