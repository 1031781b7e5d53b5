/**
 * What is written to a disk image while it is mounted, which is what its journals hold: kept in a file beside it, and gone
 * with it. The image itself is never changed.
 */
import { type FileHandle, open } from "node:fs/promises";
import { BackupError } from "../../common/errors.js";
import type { NbdExport } from "../nbd/server.js";

/** Writes are kept in aligned stretches of this many bytes. */
const GRAIN_BYTES = 4096;
/** No journal that is worth replaying is larger; each grain is remembered. */
const LIMIT_BYTES = 1024 * 1024 * 1024;

export class Overlay implements NbdExport {
  readonly sizeBytes: number;
  readonly #base: NbdExport;
  readonly #file: FileHandle;
  readonly #limit: number;
  readonly #written = new Set<number>();
  #last: Promise<void> = Promise.resolve();

  private constructor(base: NbdExport, file: FileHandle, limitBytes: number) {
    this.#base = base;
    this.#file = file;
    this.#limit = limitBytes;
    this.sizeBytes = base.sizeBytes;
  }

  /** `path` must not exist; it needs as much room as is written. @throws the system's error */
  static async open(base: NbdExport, path: string, limitBytes: number = LIMIT_BYTES): Promise<Overlay> {
    return new Overlay(base, await open(path, "wx+", 0o600), limitBytes);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = await this.#base.read(offset, length);
    if (this.#written.size === 0) return bytes;
    const end = offset + length;
    for (let grain = Math.floor(offset / GRAIN_BYTES); grain * GRAIN_BYTES < end; grain++) {
      if (!this.#written.has(grain)) continue;
      const start = Math.max(offset, grain * GRAIN_BYTES);
      const until = Math.min(end, (grain + 1) * GRAIN_BYTES);
      await this.#fill(bytes.subarray(start - offset, until - offset), start);
    }
    return bytes;
  }

  /** Writes happen one after the other. @throws BackupError OVERLAY_FULL; the system's error */
  write(offset: number, bytes: Buffer): Promise<void> {
    const done = this.#last.then(() => this.#write(offset, bytes));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #write(offset: number, bytes: Buffer): Promise<void> {
    const end = offset + bytes.length;
    const first = Math.floor(offset / GRAIN_BYTES);
    const last = Math.ceil(end / GRAIN_BYTES) - 1;
    if ((this.#written.size + last - first + 1) * GRAIN_BYTES > this.#limit)
      throw new BackupError("OVERLAY_FULL", "more is written to a disk image than a journal holds");
    // What a write covers only in part must be there as a whole before.
    for (const grain of new Set([first, last])) {
      const start = grain * GRAIN_BYTES;
      const until = Math.min(start + GRAIN_BYTES, this.sizeBytes);
      if (this.#written.has(grain) || (start >= offset && until <= end)) continue;
      await this.#store(await this.#base.read(start, until - start), start);
    }
    await this.#store(bytes, offset);
    for (let grain = first; grain <= last; grain++) this.#written.add(grain);
  }

  async #store(bytes: Buffer, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; )
      done += (await this.#file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }

  async #fill(into: Buffer, at: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#file.read(into, done, into.length - done, at + done);
      if (bytesRead === 0) throw new Error("the file of an overlay is shorter than what was written");
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }
}
