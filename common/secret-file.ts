/** Passwords and tokens lie in files of their own that only their owner may read. */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { BackupError, describeError } from "./errors.js";

const MAX_BYTES = 4096;

/**
 * The first line of a file that holds one secret; `what` names it in errors. It is read at each use, so that a new
 * one counts at once.
 * @throws BackupError SECRET_FILE (one line, never with the secret): unreadable, open to group or others, somebody
 * else's than root's or the own user's, empty, or more than a line of 4 KiB
 */
export function readSecretFile(file: string, what: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    const { mode, uid } = fstatSync(descriptor);
    const bits = mode & 0o7777;
    if ((bits & 0o077) !== 0) {
      const octal = bits.toString(8).padStart(4, "0");
      throw invalid(`${what} ${file} has mode ${octal}, open to group or others; run: chmod 600 ${file}`);
    }
    const self = process.geteuid?.();
    if (self !== undefined && uid !== 0 && uid !== self)
      throw invalid(
        `${what} ${file} belongs to uid ${uid}, neither to root nor to this process (uid ${self})`,
      );
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const read = readSync(descriptor, buffer, 0, buffer.length, 0);
    const line = buffer.toString("utf8", 0, read).split(/\r?\n/, 1)[0]!;
    if (read > MAX_BYTES) throw invalid(`${what} ${file} holds more than a line`);
    if (line === "") throw invalid(`${what} ${file} is empty: its first line is the secret`);
    return line;
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw invalid(`cannot read ${what} ${describeError(cause)}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function invalid(message: string): BackupError {
  return new BackupError("SECRET_FILE", message);
}
