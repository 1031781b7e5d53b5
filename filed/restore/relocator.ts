/** New names for the entries of a restore (common/relocation.ts), given before anything else looks at them. */
import { EntryType, type Row } from "../../common/format/row.js";
import { Relocation } from "../../common/relocation.js";
import { EntryError } from "./target.js";

export class Relocator {
  readonly #relocation: Relocation | undefined;
  /** Keys as they are stored, of rows that got another. */
  readonly #stored = new WeakMap<Row, string>();
  /** Rows for whose names the expressions give no place. */
  readonly #lost = new WeakSet<Row>();

  /** "": every name stays. @throws BackupError REGEX_WHERE */
  constructor(regexWhere: string) {
    this.#relocation = regexWhere === "" ? undefined : new Relocation(regexWhere);
  }

  /** Gives all rows their new names; the same rows. */
  move(rows: Row[]): Row[] {
    const relocation = this.#relocation;
    if (relocation === undefined) return rows;
    for (const row of rows) {
      const key = relocation.key(row.key, row.type === EntryType.directory);
      // A link's first name belongs to a file like itself.
      const group = row.group === undefined ? undefined : relocation.key(row.group, false);
      if (key === undefined || (row.group !== undefined && group === undefined)) {
        this.#lost.add(row);
        continue;
      }
      if (key !== row.key) this.#stored.set(row, row.key);
      row.key = key;
      row.group = group;
    }
    return rows;
  }

  /** @throws EntryError for a row without a place */
  check(row: Row): void {
    if (this.#lost.has(row))
      throw new EntryError("RegexWhere makes no absolute path of it, or one that leads upwards");
  }

  /** The row's key as it is stored: two files may have got one name. */
  stored(row: Row): string {
    return this.#stored.get(row) ?? row.key;
  }

  /** A directory whose new name is the target itself, which keeps its own metadata. */
  isMerged(row: Row): boolean {
    return row.key === "" && this.#stored.has(row);
  }
}
