/** The names of lists, sorted on disk: a list may have millions. The file has no name while it is used, so nothing stays of it. */
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { BackupError, describeError } from "../../common/errors.js";
import type { IncludePlace, WalkRoot } from "../walk/file-set.js";
import { cutOf, strippedRoot } from "../walk/place-root.js";

const SETTINGS = [
  "journal_mode = OFF",
  "synchronous = OFF",
  "locking_mode = EXCLUSIVE",
  "cache_size = -8192",
  "temp_store = FILE",
];

interface NameRow {
  name: Buffer;
  above: Buffer;
  place: number;
}

export class NameStore {
  readonly #db: InstanceType<typeof Sqlite>;
  readonly #places: IncludePlace[] = [];
  readonly #insert: Sqlite.Statement<[Buffer, Buffer, number]>;
  readonly #find: Sqlite.Statement<[Buffer], NameRow>;
  /** Names that were added, each counted once. */
  count = 0;

  /** @throws BackupError LISTS_UNUSABLE when the directory cannot be written to */
  constructor(directory: string) {
    const file = join(directory, `names-${randomUUID()}.db`);
    try {
      this.#db = new Sqlite(file);
      for (const setting of SETTINGS) this.#db.pragma(setting);
      this.#db.exec(
        "CREATE TABLE name (name BLOB PRIMARY KEY, above BLOB, place INTEGER) WITHOUT ROWID; BEGIN",
      );
      rmSync(file);
    } catch (cause) {
      const text = `lists of files cannot be kept in ${directory}: ${describeError(cause)}`;
      throw new BackupError("LISTS_UNUSABLE", text, { cause });
    }
    this.#insert = this.#db.prepare("INSERT OR IGNORE INTO name VALUES (?, ?, ?)");
    this.#find = this.#db.prepare("SELECT name, above, place FROM name WHERE name = ?");
  }

  /**
   * Adds the path with this key below the place. False when another file would be stored by the same name, which only
   * StripPath can bring about: the first one counts.
   */
  add(key: string, place: IncludePlace): boolean {
    let index = this.#places.indexOf(place);
    if (index < 0) index = this.#places.push(place) - 1;
    const cut = place.rules.stripPath > 0 ? (cutOf(key, place.rules.stripPath) ?? 0) : 0;
    const name = Buffer.from(key.slice(cut), "latin1");
    const above = Buffer.from(key.slice(0, cut), "latin1");
    if (this.#insert.run(name, above, index).changes > 0) {
      this.count++;
      return true;
    }
    return this.#find.get(name)?.above.equals(above) === true;
  }

  /** All of them as roots in path order. Nothing may be added meanwhile. */
  *roots(): Generator<WalkRoot, void, undefined> {
    const rows = this.#db.prepare<[], NameRow>("SELECT name, above, place FROM name ORDER BY name").iterate();
    for (const { name, above, place } of rows) {
      const at = this.#places[place]!;
      const prefix = above.latin1Slice();
      const root =
        prefix === ""
          ? { key: name.latin1Slice(), base: at.base, rules: at.rules }
          : strippedRoot(prefix + name.latin1Slice(), prefix.length, at);
      yield { ...root, isListed: true };
    }
  }

  close(): void {
    this.#db.close();
  }
}
