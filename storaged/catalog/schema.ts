/** Opens the catalog file and brings it to the newest schema by the numbered files in sql/. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { BackupError } from "../../common/errors.js";
import { packageRoot } from "../../common/package.js";

export type Db = Database.Database;

const SQL_DIR = "storaged/catalog/sql";

interface Migration {
  number: number;
  file: string;
}

function migrations(): { dir: string; list: Migration[] } {
  const dir = join(packageRoot(), SQL_DIR);
  const list = readdirSync(dir)
    .filter((name) => /^\d{6}_.*\.sql$/.test(name))
    .sort()
    .map((file) => ({ number: Number(file.slice(0, 6)), file }));
  return { dir, list };
}

/** Pages (4 KiB) in the write-ahead log from which on a commit copies them into the file. */
const CHECKPOINT_PAGES = 4000;

/**
 * The writer's connection: WAL; a transaction is durable only where `durably` is used.
 * @throws BackupError CATALOG_UNUSABLE
 */
export function openForWriting(file: string, checkpointPages = CHECKPOINT_PAGES): Db {
  try {
    const db = new Database(file, { timeout: 10_000 });
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    db.pragma("cache_size = -12000");
    db.pragma(`wal_autocheckpoint = ${checkpointPages}`);
    db.pragma("temp_store = MEMORY");
    db.pragma("journal_size_limit = 67108864");
    migrate(db, file);
    return db;
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError("CATALOG_UNUSABLE", `cannot open the catalog ${file}`, { cause });
  }
}

/** A connection that reads only; many may exist beside the writer. */
export function openForReading(file: string, cacheKib = 16_000): Db {
  try {
    const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 10_000 });
    db.pragma(`cache_size = -${cacheKib}`);
    return db;
  } catch (cause) {
    throw new BackupError("CATALOG_UNUSABLE", `cannot open the catalog ${file}`, { cause });
  }
}

/** Runs `work` in one transaction that is on disk when this returns, with everything committed before it. */
export function durably<T>(db: Db, work: () => T): T {
  db.pragma("synchronous = FULL");
  try {
    return db.transaction(work).immediate();
  } finally {
    db.pragma("synchronous = NORMAL");
  }
}

/** Each migration commits together with its number. @throws BackupError CATALOG_TOO_NEW */
export function migrate(db: Db, file: string): void {
  const { dir, list } = migrations();
  const newest = list.at(-1)?.number ?? 0;
  const current = db.pragma("user_version", { simple: true }) as number;
  if (current > newest) {
    const text = `catalog ${file} has schema ${current}; this program knows up to ${newest}: run the newer one`;
    throw new BackupError("CATALOG_TOO_NEW", text);
  }
  for (const { number, file: name } of list) {
    if (number <= current) continue;
    const sql = readFileSync(join(dir, name), "utf8");
    durably(db, () => {
      db.exec(sql);
      db.pragma(`user_version = ${number}`);
    });
  }
}
