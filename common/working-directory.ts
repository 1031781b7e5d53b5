/**
 * One daemon of a kind per working directory. The lock is held by the kernel through an open SQLite file, so that it ends
 * with the process however that ends; the pid file beside it is for people and scripts.
 */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { BackupError, codeOf, describeError } from "./errors.js";

export interface Lock {
  release(): void;
}

/** @throws BackupError ALREADY_RUNNING, WORKING_DIRECTORY */
export function lockWorkingDirectory(directory: string, daemon: string): Lock {
  const pidFile = join(directory, `${daemon}.pid`);
  let db: InstanceType<typeof Sqlite> | undefined;
  try {
    db = new Sqlite(join(directory, `${daemon}.lock`), { timeout: 0 });
    db.exec("BEGIN EXCLUSIVE");
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o644 });
  } catch (cause) {
    db?.close();
    if (codeOf(cause) === "SQLITE_BUSY") {
      const message = `another ${daemon} (process ${readPid(pidFile)}) works in ${directory}`;
      throw new BackupError("ALREADY_RUNNING", message, { cause });
    }
    const message = `the working directory ${directory} cannot be used: ${describeError(cause)}`;
    throw new BackupError("WORKING_DIRECTORY", message, { cause });
  }
  const held = db;
  return {
    release: () => {
      rmSync(pidFile, { force: true });
      held.close();
    },
  };
}

function readPid(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "unknown";
  }
}
