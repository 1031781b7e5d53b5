/**
 * A file in a slot of an autochanger. It is open for as long as its volume stays in a drive; when the drive is needed
 * for another volume it is made durable and closed, and opened again by the next call. Whoever uses it notices nothing.
 */

import { BackupError } from "../../common/errors.js";
import type { OpenMode, Store, StoreFile } from "../store/store.js";
import type { Occupant } from "./drive-state.js";

/** The way to a slot's file. */
export interface Access {
  /** Path under which the volume is spoken of. */
  path: string;
  /** Calls `work` with the file's present path while its volume is in a drive. */
  use<T>(work: (target: string, enter: (occupant: Occupant) => void) => Promise<T>): Promise<T>;
  leave(occupant: Occupant): void;
}

/** More than a label has. */
const HEAD_BYTES = 8192;

async function headOf(file: StoreFile, bytes: number): Promise<Buffer> {
  const head = Buffer.alloc(bytes);
  return head.subarray(0, await file.readAt(head, 0));
}

export class ChangerFile implements StoreFile, Occupant {
  readonly path: string;
  readonly #access: Access;
  readonly #below: Store;
  readonly #mode: OpenMode;
  #file: Promise<StoreFile> | undefined;
  /** As far as completed appends go; undefined before the first opening. */
  #size: number | undefined;
  /** How the file began when it was left: with the label of its volume. */
  #head: Buffer | undefined;
  #dirty = false;
  #closed = false;
  /** What kept appended bytes from becoming durable. */
  #lost: unknown;

  constructor(access: Access, below: Store, mode: OpenMode) {
    this.path = access.path;
    this.#access = access;
    this.#below = below;
    this.#mode = mode;
  }

  /** Opens it for the first time. @throws BackupError STORE_ codes, VOLUME_NOT_LOADED */
  async opened(): Promise<this> {
    await this.#with(async () => undefined);
    return this;
  }

  get size(): number {
    return this.#size ?? 0;
  }

  async #with<T>(work: (file: StoreFile) => Promise<T>): Promise<T> {
    if (this.#closed) throw new BackupError("STORE_IO", `${this.path} is closed`);
    if (this.#lost !== undefined) throw this.#lost;
    return this.#access.use(async (target, enter) => {
      enter(this);
      this.#file ??= this.#open(target);
      const file = this.#file;
      // Another call may be waiting for the same opening: only its own failure is forgotten.
      const open = await file.catch((error: unknown) => {
        if (this.#file === file) this.#file = undefined;
        throw error;
      });
      return work(open);
    });
  }

  async #open(target: string): Promise<StoreFile> {
    const file = await this.#below.open(target, this.#mode);
    const known = this.#size;
    this.#size ??= file.size;
    if (known === undefined) return file;
    try {
      await this.#checkSame(file, known);
      // Pieces of an append that failed; readers are not disturbed by what others appended.
      if (this.#mode === "append" && file.size > known) await file.truncate(known);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whoever puts another volume into the slot meanwhile must not lose that one. */
  async #checkSame(file: StoreFile, known: number): Promise<void> {
    const head = this.#head ?? Buffer.alloc(0);
    if (!(await headOf(file, head.length)).equals(head)) {
      const text = "there is another volume in its slot now; put the right one back";
      throw new BackupError("STORE_IO", `${this.path}: ${text}`);
    }
    if (file.size < known)
      throw new BackupError("STORE_IO", `${this.path}: its file has become shorter than it was`);
  }

  append(buffers: readonly Uint8Array[]): Promise<void> {
    return this.#with(async (file) => {
      this.#dirty = true;
      await file.append(buffers);
      this.#size = file.size;
    });
  }

  readAt(into: Uint8Array, position: number): Promise<number> {
    return this.#with((file) => file.readAt(into, position));
  }

  sync(): Promise<void> {
    return this.#with((file) => file.sync());
  }

  truncate(size: number): Promise<void> {
    return this.#with(async (file) => {
      this.#dirty = true;
      await file.truncate(size);
      this.#size = file.size;
    });
  }

  async leave(): Promise<void> {
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    if (file === undefined) return;
    try {
      if (this.#dirty) await file.sync();
      this.#dirty = false;
      this.#head = await headOf(file, HEAD_BYTES);
    } catch (error) {
      // Whoever wrote must hear of it; whoever needs the drive has nothing to do with it.
      this.#lost = error;
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#access.leave(this);
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    await file?.close();
  }
}
