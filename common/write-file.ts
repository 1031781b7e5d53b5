/** Files that are there whole or not at all, and for their owner alone unless said otherwise. */

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";

/** Writes a new file durably; false when one of that name is there, which then stays as it is. */
export function writeNew(file: string, content: string, mode: number): boolean {
  let fd: number;
  try {
    fd = openSync(file, "wx", mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return true;
}

/** Replaces a file in one step: readers see the old or the new content. */
export function replaceFile(file: string, content: string, mode: number): void {
  const temporary = `${file}.new-${randomBytes(8).toString("hex")}`;
  try {
    if (!writeNew(temporary, content, mode)) throw new Error(`${temporary} exists; remove it`);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Makes a directory for its owner alone, parents included; an existing one keeps its mode. */
export function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}
