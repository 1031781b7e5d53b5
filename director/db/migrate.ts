/** Brings a database to the newest schema: numbered files under director/db/sql, each in one transaction. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Database } from "better-sqlite3";
import { BackupError } from "../../common/errors.js";

/** Compiled code lies in build/director/db while the .sql files stay where they were written. */
function sqlDirectory(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  for (let up = 0; up < 6; up++, at = dirname(at)) {
    const candidate = join(at, "director", "db", "sql");
    if (existsSync(candidate)) return candidate;
  }
  throw new BackupError("INSTALLATION", "the directory director/db/sql is missing from the installation");
}

/**
 * Applies what is missing. The number of the last applied file is SQLite's user_version.
 * @throws BackupError DATABASE_NEWER when a newer release has already changed the database.
 */
export function migrate(database: Database, directory = sqlDirectory()): void {
  const files = readdirSync(directory)
    .filter((name) => /^\d{6}_.+\.sql$/.test(name))
    .sort();
  const current = database.pragma("user_version", { simple: true }) as number;
  if (current > files.length) {
    const message = `${database.name} was written by a newer release (schema ${current}, known: ${files.length})`;
    throw new BackupError("DATABASE_NEWER", message);
  }
  for (const [index, name] of files.entries()) {
    if (index < current) continue;
    if (Number(name.slice(0, 6)) !== index + 1) throw new Error(`gap before migration ${name}`);
    const sql = readFileSync(join(directory, name), "utf8");
    database.transaction(() => {
      database.exec(sql);
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}
