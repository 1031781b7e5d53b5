/**
 * The one interface through which storaged touches volume files, so that tests can fail, tear or crash every
 * single step. It imports nothing of storaged, and nothing durable outside SQLite is written past it.
 *
 * What an implementation promises:
 * - bytes are durable when `sync` has resolved after their `append`; names are durable when `syncDirectory` of
 *   their directory has resolved after `create`, `rename` or `unlink`;
 * - every failure is a BackupError: STORE_FULL (no space, quota, file size limit), STORE_DENIED (permissions,
 *   read-only file system, a symbolic link in place of the file), STORE_NOT_FOUND, STORE_EXISTS, STORE_IO (all
 *   others). Its message names the path.
 */

/** What to do with an existing file: only read it, or read it and write at its end. */
export type OpenMode = "read" | "append";

export interface StoreStat {
  sizeBytes: number;
  mtimeMs: number;
}

/** An open file. Reads may run at any time; appends, truncations and syncs are ordered by the caller. */
export interface StoreFile {
  readonly path: string;
  /** Bytes of the file as far as completed appends and truncations of this handle go. */
  readonly size: number;
  /**
   * Writes all buffers at the end, completely or not at all as far as `size` tells: after a rejection the file may
   * hold some of the bytes beyond `size`; truncate(size) removes them.
   */
  append(buffers: readonly Uint8Array[]): Promise<void>;
  /** Fills `into` from `position` on; returns fewer bytes than asked only at the end of the file. */
  readAt(into: Uint8Array, position: number): Promise<number>;
  /** Resolves when everything appended before the call, and the size, survives a power cut. */
  sync(): Promise<void>;
  /** Cuts the file to `size` bytes, which must not exceed its size. Durable after `sync`. */
  truncate(size: number): Promise<void>;
  /** Closes the handle without syncing; further calls reject. Calling it again does nothing. */
  close(): Promise<void>;
}

export interface Store {
  /** Makes a new, empty file for appending and reading. @throws STORE_EXISTS */
  create(path: string): Promise<StoreFile>;
  /** Opens an existing regular file; never follows a symbolic link. @throws STORE_NOT_FOUND */
  open(path: string, mode: OpenMode): Promise<StoreFile>;
  /** undefined when nothing is there. */
  stat(path: string): Promise<StoreStat | undefined>;
  /** Names (not paths) of the regular files in a directory, sorted. @throws STORE_NOT_FOUND */
  list(directory: string): Promise<string[]>;
  /** Replaces `to` if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** @throws STORE_NOT_FOUND */
  unlink(path: string): Promise<void>;
  /** Makes created, renamed and removed names in `directory` durable. */
  syncDirectory(directory: string): Promise<void>;
}
