/** Keeps a second storage daemon out of a working directory. The kernel holds the lock: it ends with the process. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { BackupError, codeOf, describeError } from "../common/errors.js";

/** @throws BackupError ALREADY_RUNNING, WORKING_DIRECTORY */
export function lockWorkingDirectory(directory: string): { release: () => void } {
  const pidFile = join(directory, "storaged.pid");
  let lock: Database.Database | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    lock = new Database(join(directory, "storaged.lock"), { timeout: 0 });
    lock.exec("BEGIN EXCLUSIVE");
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch (cause) {
    lock?.close();
    if (codeOf(cause) === "SQLITE_BUSY") {
      throw new BackupError(
        "ALREADY_RUNNING",
        `a storage daemon (process ${pidIn(pidFile)}) works in ${directory} already`,
      );
    }
    throw new BackupError(
      "WORKING_DIRECTORY",
      `cannot use the working directory ${directory}: ${describeError(cause)}`,
    );
  }
  const held = lock;
  return {
    release: () => {
      rmSync(pidFile, { force: true });
      held.close();
    },
  };
}

function pidIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "unknown";
  }
}
