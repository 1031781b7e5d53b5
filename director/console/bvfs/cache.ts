/**
 * What the file browser of programs has to remember between commands: which directories and names its numbers stand
 * for, and lists for restores. A file of its own in the working directory, made anew when it is lost or cleared: then
 * programs begin again at a path. One connection per command; close it with `close`.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import Sqlite, { type Database } from "better-sqlite3";
import { BackupError, describeError } from "../../../common/errors.js";
import { nowMs } from "../../../common/time.js";
import type { CommandContext } from "../context.js";
import { textId } from "../sql/ids.js";

/** Latin1 carriers are kept as BLOBs. */
const SCHEMA = `
  DROP TABLE IF EXISTS text;
  CREATE TABLE IF NOT EXISTS shown (console TEXT NOT NULL, id INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (console, id)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS list (name TEXT PRIMARY KEY, job_ids TEXT NOT NULL, made_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS item (list TEXT NOT NULL, path BLOB NOT NULL, recursive INTEGER NOT NULL,
    PRIMARY KEY (list, path)) WITHOUT ROWID;`;
/** Lists that no one has cleaned up. */
const LIST_AGE_MS = 7 * 86_400_000;

/** What a list for a restore holds. */
export interface RestoreList {
  /** Oldest first. */
  jobIds: number[];
  items: { path: string; recursive: boolean }[];
}

export class BvfsCache {
  readonly #db: Database;
  readonly #console: string;

  /** `console`: what was shown to another one is not known to it. @throws BackupError DATABASE_OPEN */
  constructor(workingDirectory: string, console: string) {
    this.#console = console;
    const file = join(workingDirectory, "bvfs.db");
    try {
      this.#db = new Sqlite(file);
      chmodSync(file, 0o600);
      this.#db.pragma("journal_mode = WAL");
      // Nothing is lost that could not be asked for again.
      this.#db.pragma("synchronous = OFF");
      this.#db.pragma("busy_timeout = 5000");
      this.#db.exec(SCHEMA);
    } catch (cause) {
      const text = `cannot open ${file}: ${describeError(cause)}; it may be removed`;
      throw new BackupError("DATABASE_OPEN", text, { cause });
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Numbers of texts, which can be looked up from now on. */
  note(texts: readonly string[]): bigint[] {
    const insert = this.#db.prepare("INSERT OR IGNORE INTO shown VALUES (?, ?, ?)");
    return this.#db.transaction(() =>
      texts.map((text) => {
        const id = textId(text);
        insert.run(this.#console, id, Buffer.from(text, "latin1"));
        return id;
      }),
    )();
  }

  /** The text with a number, if it was ever shown to this console. */
  text(id: string): string | undefined {
    if (!/^\d{1,19}$/.test(id)) return undefined;
    const query = "SELECT bytes FROM shown WHERE console = ? AND id = ?";
    const found = this.#db.prepare<[string, bigint], Buffer>(query).pluck();
    return found.get(this.#console, BigInt.asIntN(64, BigInt(id)))?.toString("latin1");
  }

  saveList(name: string, { jobIds, items }: RestoreList): void {
    const insert = this.#db.prepare("INSERT OR REPLACE INTO item VALUES (?, ?, ?)");
    this.#db.transaction(() => {
      this.dropList(name);
      for (const { name: old } of this.#old()) this.dropList(old);
      this.#db.prepare("INSERT INTO list VALUES (?, ?, ?)").run(name, JSON.stringify(jobIds), nowMs());
      for (const { path, recursive } of items)
        insert.run(name, Buffer.from(path, "latin1"), recursive ? 1 : 0);
    })();
  }

  #old(): { name: string }[] {
    const query = this.#db.prepare<[number], { name: string }>("SELECT name FROM list WHERE made_ms < ?");
    return query.all(nowMs() - LIST_AGE_MS);
  }

  list(name: string): RestoreList | undefined {
    const found = this.#db
      .prepare<[string], string>("SELECT job_ids FROM list WHERE name = ?")
      .pluck()
      .get(name);
    if (found === undefined) return undefined;
    const items = this.#db
      .prepare<[string], { path: Buffer; recursive: number }>(
        "SELECT path, recursive FROM item WHERE list = ?",
      )
      .all(name);
    return {
      jobIds: JSON.parse(found) as number[],
      items: items.map(({ path, recursive }) => ({
        path: path.toString("latin1"),
        recursive: recursive === 1,
      })),
    };
  }

  dropList(name: string): void {
    this.#db.prepare("DELETE FROM item WHERE list = ?").run(name);
    this.#db.prepare("DELETE FROM list WHERE name = ?").run(name);
  }

  /** Forgets all numbers. */
  clear(): void {
    this.#db.exec("DELETE FROM shown");
  }
}

/** Runs `work` with the cache of this director, as its console knows it. */
export async function withCache<T>(
  context: CommandContext,
  work: (cache: BvfsCache) => Promise<T>,
): Promise<T> {
  const cache = new BvfsCache(context.whole.config.director.workingDirectory, context.console);
  try {
    return await work(cache);
  } finally {
    cache.close();
  }
}
