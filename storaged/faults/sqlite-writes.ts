/** Makes writes of SQLite fail that go past every other hook: those of databases that the code under test opens. */

import Database from "better-sqlite3";

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** While it is in force each `run` of a statement that writes, and each `exec`, is counted. */
export interface WatchedWrites {
  count: () => number;
  restore: () => void;
}

/** `before` is told the number of each write and may give the SQLite error code that it fails with. */
export function failingWrites(before: (number: number) => string | undefined): WatchedWrites {
  const probe = new Database(":memory:");
  const statements = Object.getPrototypeOf(probe.prepare("SELECT 1")) as Record<string, Call>;
  const databases = Database.prototype as unknown as Record<string, Call>;
  probe.close();
  let writes = 0;
  const watch = (prototype: Record<string, Call>, name: string): (() => void) => {
    const original = prototype[name]!;
    prototype[name] = function (...args) {
      const code = before(++writes);
      if (code === undefined) return original.apply(this, args);
      throw new Database.SqliteError("database or disk is full (made by the test)", code);
    };
    return () => {
      prototype[name] = original;
    };
  };
  const undo = [watch(statements, "run"), watch(databases, "exec")];
  return {
    count: () => writes,
    restore: () => {
      for (const one of undo) one();
    },
  };
}
