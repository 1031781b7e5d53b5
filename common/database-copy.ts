/** A consistent copy of a SQLite database that a daemon may be writing to. */

import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { BackupError, describeError } from "./errors.js";

/**
 * Writes `to` (replaced if it exists) with what `from` holds at one moment: one read transaction, which in WAL mode
 * holds nobody up. The copy is checked, for its owner alone, and durable. Gives its bytes.
 * @throws BackupError DATABASE_COPY_FAILED: then `to` is as it was
 */
export function copyDatabase(from: string, to: string): number {
  const fresh = `${to}.new`;
  try {
    rmSync(fresh, { force: true });
    // Made here, so that it is nobody else's to read at any moment.
    closeSync(openSync(fresh, "wx", 0o600));
    const db = new Database(from, { readonly: true, fileMustExist: true, timeout: 10_000 });
    try {
      db.prepare("VACUUM INTO ?").run(fresh);
    } finally {
      db.close();
    }
    checkDatabase(fresh);
    chmodSync(fresh, 0o600);
    sync(fresh);
    renameSync(fresh, to);
    sync(dirname(to));
    return statSync(to).size;
  } catch (cause) {
    rmSync(fresh, { force: true });
    throw new BackupError("DATABASE_COPY_FAILED", `cannot copy ${from} to ${to}: ${describeError(cause)}`, {
      cause,
    });
  }
}

function checkDatabase(file: string): void {
  const db = new Database(file, { readonly: true });
  try {
    const found = db.pragma("quick_check(1)", { simple: true });
    if (found !== "ok") throw new Error(`the copy is not sound: ${String(found)}`);
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
