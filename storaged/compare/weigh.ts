/**
 * Weighs one machine against several lists: the cost over every order of them, from one pass over the machine and two
 * over each list. What grows with the lists lies in a scratch database.
 */

import Database from "better-sqlite3";
import { EntryType, type Row } from "../../common/format/row.js";
import type { RowCursor } from "../catalog/overlay.js";
import type { Db } from "../catalog/schema.js";
import { addMissing, addOwn, type ListCost, noCost, type PathGroup } from "./costs.js";
import { Own, PathStates, packStates, stateOf } from "./path-states.js";

/** Lists that one weighing takes: two bits each in 32. */
export const MAX_LISTS = 16;

/** Paths between two breaths. */
const STEP_PATHS = 20_000;

const SCRATCH = `
  CREATE TABLE path (id INTEGER PRIMARY KEY, states INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB);
  CREATE TABLE content (digest BLOB PRIMARY KEY, held INTEGER NOT NULL, first INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE everywhere (digest BLOB PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE missing (states INTEGER PRIMARY KEY, paths INTEGER NOT NULL);
`;

/** What a list holds. */
export interface ListSize {
  entries: number;
  bytes: number;
}

interface GroupRow {
  states: number;
  held: number;
  entries: number;
  files: number;
  bytes: number;
  firstBytes: number;
}

/** Call close() in the end. */
export class Weighing {
  /** Without a name: SQLite keeps it on disk and removes it. */
  readonly #db: Db = new Database("");
  readonly #lists: number;
  readonly machine: ListSize = { entries: 0, bytes: 0 };
  /** By list. */
  readonly sizes: ListSize[];

  /** @throws RangeError for more than MAX_LISTS */
  constructor(lists: number) {
    if (lists > MAX_LISTS) throw new RangeError(`${lists} lists in one weighing`);
    this.#lists = lists;
    this.sizes = Array.from({ length: lists }, () => ({ entries: 0, bytes: 0 }));
    this.#db.pragma("journal_mode = OFF");
    this.#db.pragma("synchronous = OFF");
    this.#db.pragma("cache_size = -16000");
    this.#db.exec(SCRATCH);
    this.#db.exec("BEGIN");
  }

  close(): void {
    this.#db.close();
  }

  /** First: what the lists say of each path. */
  *paths(machine: RowCursor, lists: readonly RowCursor[]): Generator<number> {
    const path = this.#db.prepare("INSERT INTO path(states, size, digest) VALUES (?, ?, ?)");
    const content = this.#db.prepare("INSERT OR IGNORE INTO content VALUES (?, 0, ?)");
    const everywhere = this.#db.prepare("INSERT OR IGNORE INTO everywhere VALUES (?, ?)");
    const missing = this.#db.prepare(
      "INSERT INTO missing VALUES (?, 1) ON CONFLICT(states) DO UPDATE SET paths = paths + 1",
    );
    const visitor = {
      own: (row: Row, states: Uint8Array): void => {
        const digest = digestOf(row);
        const size = digest === undefined ? 0 : row.size;
        this.machine.entries++;
        this.machine.bytes += size;
        // The same in all lists: over any of them there is nothing to look up.
        const sought = digest !== undefined && !states.every((state) => state === Own.equal);
        const { lastInsertRowid } = path.run(packStates(states), size, sought ? digest : null);
        if (sought) content.run(digest, lastInsertRowid);
        else if (digest !== undefined) everywhere.run(digest, size);
      },
      missing: (_key: string, states: Uint8Array): void => void missing.run(packStates(states)),
    };
    const pairs = new PathStates(machine, lists);
    for (let looked = 1; pairs.step(visitor); looked++) if (looked % STEP_PATHS === 0) yield STEP_PATHS;
  }

  /** Then, for each list: which of the machine's contents it has anywhere. */
  *contents(list: number, cursor: RowCursor): Generator<number> {
    const hold = this.#db.prepare("UPDATE content SET held = held | ? WHERE digest = ?");
    const size = this.sizes[list]!;
    for (let looked = 1; cursor.row !== undefined; cursor.advance(), looked++) {
      const digest = digestOf(cursor.row);
      size.entries++;
      if (digest !== undefined) {
        size.bytes += cursor.row.size;
        hold.run(1 << list, digest);
      }
      if (looked % STEP_PATHS === 0) yield STEP_PATHS;
    }
  }

  /** At last the cost over each of these orders (topmost list first). */
  costs(orders: readonly (readonly number[])[]): ListCost[] {
    const costs = orders.map(noCost);
    const groups = this.#db.prepare<[], GroupRow>(
      `SELECT p.states, coalesce(c.held, 0) AS held, count(*) AS entries, sum(p.size > 0) AS files, sum(p.size) AS bytes,
         sum(CASE WHEN c.first = p.id THEN p.size ELSE 0 END) AS firstBytes
       FROM path p LEFT JOIN content c ON c.digest = p.digest GROUP BY p.states, c.held`,
    );
    for (const { states, ...group } of groups.iterate()) {
      const paths: PathGroup = { ...group, states: this.#unpack(states) };
      for (const [i, order] of orders.entries()) addOwn(costs[i]!, order, paths);
    }
    const missing = this.#db.prepare<[], { states: number; paths: number }>("SELECT * FROM missing");
    for (const { states, paths } of missing.iterate()) {
      const each = this.#unpack(states);
      for (const [i, order] of orders.entries()) addMissing(costs[i]!, order, each, paths);
    }
    for (const [i, order] of orders.entries()) if (order.length === 0) costs[i]!.newBytes = this.#distinct();
    return costs;
  }

  /** Bytes of all contents of the machine, each counted once. */
  #distinct(): number {
    const query = this.#db.prepare<[], number | null>(
      `SELECT sum(size) FROM (SELECT digest, size FROM everywhere UNION
         SELECT c.digest, p.size FROM content c JOIN path p ON p.id = c.first)`,
    );
    return query.pluck().get() ?? 0;
  }

  #unpack(packed: number): number[] {
    return Array.from({ length: this.#lists }, (_none, list) => stateOf(packed, list));
  }
}

function digestOf({ type, content }: Row): Buffer | undefined {
  return type === EntryType.file ? content : undefined;
}
