/** Counters of label formats: defined by the director, counted here, where volumes get their names. */

import { type Db, durably } from "./schema.js";

/** As Bacula's Counter resource has it; names in lower case. */
export interface CounterDefinition {
  name: string;
  minimum: number;
  /** It begins anew behind this. */
  maximum: number;
  /** Counter that counts on when this one begins anew; "": none. */
  wrapCounter: string;
}

interface CounterRow {
  minimum: number;
  maximum: number;
  wrap_counter: string;
  value: number;
}

/** Wrap counters may name each other; further than this nobody goes. */
const MAX_WRAPS = 10;

export class CounterStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Makes or changes these; a value that lies outside of its new limits begins anew. Others stay. */
  sync(counters: readonly CounterDefinition[]): void {
    if (counters.length === 0) return;
    const upsert = this.#db.prepare(`INSERT INTO counter(name, minimum, maximum, wrap_counter, value)
      VALUES (@name, @minimum, @maximum, @wrapCounter, @minimum) ON CONFLICT(name) DO UPDATE SET
      minimum = excluded.minimum, maximum = excluded.maximum, wrap_counter = excluded.wrap_counter,
      value = CASE WHEN value BETWEEN excluded.minimum AND excluded.maximum THEN value ELSE excluded.minimum END`);
    durably(this.#db, () => {
      for (const counter of counters) upsert.run(counter);
    });
  }

  /** Values by name; those that increment are counted on, durably. Unknown names are left out. */
  use(counters: readonly { name: string; increments: boolean }[]): Record<string, number> {
    const values: Record<string, number> = {};
    durably(this.#db, () => {
      for (const { name, increments } of counters) {
        const row = this.#row(name);
        if (row === undefined) continue;
        values[name] = row.value;
        if (increments) this.#next(name, row, MAX_WRAPS);
      }
    });
    return values;
  }

  #row(name: string): CounterRow | undefined {
    return this.#db.prepare<[string], CounterRow>("SELECT * FROM counter WHERE name = ?").get(name);
  }

  #next(name: string, { value, minimum, maximum, wrap_counter: wraps }: CounterRow, depth: number): void {
    const next = value >= maximum ? minimum : value + 1;
    this.#db.prepare("UPDATE counter SET value = ? WHERE name = ?").run(next, name);
    const other = value >= maximum && wraps !== "" && depth > 0 ? this.#row(wraps) : undefined;
    if (other !== undefined) this.#next(wraps, other, depth - 1);
  }
}
