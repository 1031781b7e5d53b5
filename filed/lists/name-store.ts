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
  "cache_size = -16384",
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
  /** Names that were added. */
  count = 0;

  /** @throws BackupError LISTS_UNUSABLE when the directory cannot be written to */
  constructor(directory: string) {
    const file = join(directory, `names-${randomUUID()}.db`);
    try {
      this.#db = new Sqlite(file);
      for (const setting of SETTINGS) this.#db.pragma(setting);
      this.#db.exec("CREATE TABLE name (name BLOB, above BLOB, place INTEGER); BEGIN");
      rmSync(file);
    } catch (cause) {
      const text = `lists of files cannot be kept in ${directory}: ${describeError(cause)}`;
      throw new BackupError("LISTS_UNUSABLE", text, { cause });
    }
    this.#insert = this.#db.prepare("INSERT INTO name VALUES (?, ?, ?)");
  }

  /** Adds the path with this key below the place. */
  add(key: string, place: IncludePlace): void {
    let index = this.#places.indexOf(place);
    if (index < 0) index = this.#places.push(place) - 1;
    const cut = place.rules.stripPath > 0 ? (cutOf(key, place.rules.stripPath) ?? 0) : 0;
    this.#insert.run(Buffer.from(key.slice(cut), "latin1"), Buffer.from(key.slice(0, cut), "latin1"), index);
    this.count++;
  }

  /**
   * All of them as roots in path order, each name once. `onSame` gets the keys of those that would be stored by the name
   * of another one, which only StripPath can bring about: the first that was added counts.
   */
  *roots(onSame: (key: string) => void): Generator<WalkRoot, void, undefined> {
    // SQLite sorts in pieces of the size of its cache, and merges them: sequential, whatever order they came in.
    const sql = "SELECT name, above, place FROM name ORDER BY name, rowid";
    let last: NameRow | undefined;
    for (const row of this.#db.prepare<[], NameRow>(sql).iterate()) {
      const { name, above, place } = row;
      if (last?.name.equals(name) === true) {
        if (!last.above.equals(above)) onSame(above.latin1Slice() + name.latin1Slice());
        continue;
      }
      last = row;
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
