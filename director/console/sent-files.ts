/**
 * Files that a console has sent with `@putfile`. They lie in the director's working directory, 0600, and go with the session;
 * what a director leaves that was killed goes at its next start.
 */

import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";

/** Of one file, and how many one session may have. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 16;

/** Where they lie. */
const sentDirectory = (workingDirectory: string): string => join(workingDirectory, "sent");

/** To be called before there are sessions. */
export function dropSentFiles(workingDirectory: string): void {
  rmSync(sentDirectory(workingDirectory), { recursive: true, force: true });
}

export class SentFiles {
  readonly #workingDirectory: () => string;
  readonly #session = randomUUID();
  readonly #paths = new Map<string, string>();

  constructor(workingDirectory: () => string) {
    this.#workingDirectory = workingDirectory;
  }

  /** Where the file of this key lies; undefined: none was sent under it. */
  path(key: string): string | undefined {
    return this.#paths.get(key);
  }

  /**
   * Takes in a file as lines of base64 until one that is `.`; one of the same key before it is replaced.
   * @throws BackupError PUTFILE_INVALID (garbled, too large, too many), system errors, or what `next` throws
   */
  async take(key: string, next: () => Promise<string>): Promise<void> {
    if (!this.#paths.has(key) && this.#paths.size >= MAX_FILES)
      throw new BackupError("PUTFILE_INVALID", `a console may send ${MAX_FILES} files`);
    const directory = sentDirectory(this.#workingDirectory());
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, `${this.#session}.${key}`);
    this.#paths.delete(key);
    const file = await open(path, "w", 0o600);
    try {
      await write(file, next);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    this.#paths.set(key, path);
  }

  /** Removes all of them. */
  drop(): void {
    for (const path of this.#paths.values()) rmSync(path, { force: true });
    this.#paths.clear();
  }
}

async function write(file: FileHandle, next: () => Promise<string>): Promise<void> {
  let bytes = 0;
  for (let line = await next(); line !== "."; line = await next()) {
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(line))
      throw new BackupError("PUTFILE_INVALID", "what the console sends is garbled; use @putfile");
    const part = Buffer.from(line, "base64");
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new BackupError("PUTFILE_INVALID", `a file of more than ${MAX_BYTES} bytes`);
    await file.write(part);
  }
}
