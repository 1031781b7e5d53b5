/** What a comparison of a machine with its Bases has found, in a scratch database: it may be as long as the lists. */

import Database from "better-sqlite3";
import { keyToPath } from "../../common/format/path.js";
import type { Db } from "../catalog/schema.js";
import { compareDebVersions } from "./deb-version.js";
import type { Package } from "./dpkg.js";
import {
  type Amount,
  DRIFT_KINDS,
  type DriftEntry,
  type DriftKind,
  type MachineDrift,
  noAmount,
  type PackageChange,
  type PackageList,
} from "./steps.js";

/** Packages named of each kind: all of them are one message. */
const MAX_PACKAGES = 1000;

/** Of whom a package database is. */
export type Side = "machine" | "base";

const SCRATCH = `
  CREATE TABLE package (side TEXT NOT NULL, name TEXT NOT NULL, architecture TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (side, name, architecture)) WITHOUT ROWID;
  CREATE TABLE owned (key BLOB PRIMARY KEY, package TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE conffile (key BLOB PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE entry (kind TEXT, key BLOB NOT NULL, size INTEGER NOT NULL, package TEXT NOT NULL, what TEXT NOT NULL,
    rank INTEGER NOT NULL, digest BLOB, bytes INTEGER NOT NULL);
  CREATE TABLE held (digest BLOB PRIMARY KEY, known INTEGER NOT NULL) WITHOUT ROWID;
`;

/** An entry that is not the same as in the Base. */
export interface Found {
  /** Undefined: only counted, since nothing about it is told but whether its content is known. */
  kind: DriftKind | undefined;
  key: string;
  /** Bytes of a file. */
  size: number;
  package?: string;
  what?: readonly string[];
  /** Greater ones are named first. (Default: 0) */
  rank?: number;
  /** Content of the machine's entry; undefined for what has none, or is missing. */
  digest?: Buffer | undefined;
}

/** Call close() in the end. */
export class Findings {
  readonly #db: Db = new Database("");
  readonly #package;
  readonly #owned;
  readonly #conffile;
  readonly #entry;
  readonly #sought;
  readonly #hold;
  readonly #owner;
  readonly #isConffile;
  readonly #versions;
  readonly #isInstalled;

  constructor() {
    this.#db.pragma("journal_mode = OFF");
    this.#db.pragma("synchronous = OFF");
    this.#db.pragma("cache_size = -16000");
    this.#db.exec(SCRATCH);
    this.#db.exec("BEGIN");
    const db = this.#db;
    this.#package = db.prepare("INSERT OR REPLACE INTO package VALUES (?, ?, ?, ?)");
    this.#owned = db.prepare("INSERT OR IGNORE INTO owned VALUES (?, ?)");
    this.#conffile = db.prepare("INSERT OR IGNORE INTO conffile VALUES (?)");
    this.#entry = db.prepare("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    this.#sought = db.prepare("INSERT OR IGNORE INTO held VALUES (?, 0)");
    this.#hold = db.prepare("UPDATE held SET known = 1 WHERE digest = ?");
    this.#owner = db.prepare<[Buffer], string>("SELECT package FROM owned WHERE key = ?").pluck();
    this.#isConffile = db.prepare<[Buffer], number>("SELECT 1 FROM conffile WHERE key = ?").pluck();
    this.#isInstalled = db
      .prepare<[string, string], number>("SELECT 1 FROM package WHERE side = ? AND name = ? LIMIT 1")
      .pluck();
    this.#versions = db.prepare<[string], { side: Side; versions: string }>(
      `SELECT side, group_concat(architecture || ' ' || version) AS versions FROM
         (SELECT * FROM package WHERE name = ? ORDER BY side, architecture) GROUP BY side`,
    );
  }

  close(): void {
    this.#db.close();
  }

  addPackage(side: Side, { name, architecture, version }: Package): void {
    this.#package.run(side, name, architecture, version);
  }

  addOwned(key: string, name: string): void {
    this.#owned.run(bytesOf(key), name);
  }

  addConffile(key: string): void {
    this.#conffile.run(bytesOf(key));
  }

  /** Whether the status of a side says so. */
  isInstalled(side: Side, name: string): boolean {
    return this.#isInstalled.get(side, name) !== undefined;
  }

  /** Name of the machine's package that a path belongs to. */
  ownerOf(key: string): string | undefined {
    return this.#owner.get(bytesOf(key));
  }

  isConffile(key: string): boolean {
    return this.#isConffile.get(bytesOf(key)) !== undefined;
  }

  /** Whether a package is installed in the Base, and in the same version in all architectures. */
  inBase(name: string): "same" | "other" | "no" {
    const sides = this.#versions.all(name);
    const of = (side: Side) => sides.find((each) => each.side === side)?.versions;
    if (of("base") === undefined) return "no";
    return of("base") === of("machine") ? "same" : "other";
  }

  add({ kind, key, size, package: owner = "", what = [], rank = 0, digest }: Found): void {
    const bytes = digest === undefined ? 0 : size;
    this.#entry.run(kind ?? null, bytesOf(key), size, owner, what.join(), rank, digest ?? null, bytes);
    if (digest !== undefined) this.#sought.run(digest);
  }

  /** A content of the Base, at whichever path. */
  hold(digest: Buffer): void {
    this.#hold.run(digest);
  }

  /** Entries of the machine that are not the same: those whose content is in the Base, and the others. */
  contents(): { known: Amount; fresh: Amount } {
    const query = this.#db.prepare<[], { known: number; entries: number; bytes: number }>(
      `SELECT coalesce(h.known, 1) AS known, count(*) AS entries, sum(e.bytes) AS bytes
       FROM entry e LEFT JOIN held h ON h.digest = e.digest
       WHERE coalesce(e.kind, '') NOT IN ('missing', 'missing-package') GROUP BY 1`,
    );
    const result = { known: noAmount(), fresh: noAmount() };
    for (const { known, ...amount } of query.all()) result[known === 1 ? "known" : "fresh"] = amount;
    return result;
  }

  /** In the order of DRIFT_KINDS; of each kind the `top` first ones are named. */
  entries(top: number): Pick<MachineDrift, "counts" | "entries"> {
    const count = this.#db.prepare<[string], Amount>(
      "SELECT count(*) AS entries, coalesce(sum(size), 0) AS bytes FROM entry WHERE kind = ?",
    );
    const named = this.#db.prepare<
      [string, number],
      { key: Buffer; size: number; package: string; what: string; known: number | null }
    >(
      `SELECT e.key, e.size, e.package, e.what, h.known FROM entry e LEFT JOIN held h ON h.digest = e.digest
       WHERE e.kind = ? ORDER BY e.rank DESC, e.size DESC, e.key LIMIT ?`,
    );
    return {
      counts: DRIFT_KINDS.map((kind) => count.get(kind) ?? noAmount()),
      entries: DRIFT_KINDS.map((kind) =>
        named.all(kind, top).map(
          ({ key, known, what, ...entry }): DriftEntry => ({
            ...{ ...entry, path: keyToPath(key.latin1Slice()), known: known === 1 },
            what: what === "" ? [] : what.split(","),
          }),
        ),
      ),
    };
  }

  /** Packages of either side whose versions differ; the first `top` of each kind by name. */
  packages(top: number): Pick<MachineDrift, "updates" | "newer" | "added" | "removed"> {
    const query = this.#db.prepare<[], PackageChange>(
      `SELECT * FROM (SELECT name, architecture, max(CASE side WHEN 'machine' THEN version ELSE '' END) AS version,
         max(CASE side WHEN 'base' THEN version ELSE '' END) AS baseVersion
         FROM package GROUP BY name, architecture)
       WHERE version <> baseVersion ORDER BY name, architecture`,
    );
    const none = (): PackageList => ({ count: 0, packages: [] });
    const result = { updates: none(), newer: none(), added: none(), removed: none() };
    for (const change of query.iterate()) {
      const list = result[kindOf(change)];
      if (list.count++ < Math.min(top, MAX_PACKAGES)) list.packages.push(change);
    }
    return result;
  }
}

function kindOf({ version, baseVersion }: PackageChange): "updates" | "newer" | "added" | "removed" {
  if (version === "") return "removed";
  if (baseVersion === "") return "added";
  return compareDebVersions(version, baseVersion) < 0 ? "updates" : "newer";
}

const bytesOf = (key: string): Buffer => Buffer.from(key, "latin1");
