/**
 * The database that holds, for one console, what its statements need of the storage daemons. Whoever names the file
 * removes it.
 */
import { chmodSync } from "node:fs";
import Sqlite, { type Database } from "better-sqlite3";
import { BackupError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import { fileId, textId } from "./ids.js";
import { jobMediaOf } from "./job-media.js";
import { lstatOf } from "./lstat.js";
import type { ExtentRow, FileRow, SqlValue } from "./protocol.js";
import { FED, FILE_INDEXES, SCRATCH_SCHEMA } from "./tables.js";

/** A row of the tables that are filled by run, which no run has: see `placeholders`. */
const NOBODY = -1;
const BY_RUN = ["file", "path", "filename", "basefiles"];
const NAMED: Readonly<Record<string, string>> = { client: "Name", pool: "Name", fileset: "FileSet" };
/** What `displayPath` leaves as it is. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/;
/** Names that are remembered as being there. */
const MAX_KNOWN = 50_000;

export class Scratch {
  readonly #db: Database;
  readonly #filled = new Set<string>();
  /** Runs whose rows are here. */
  readonly files = new Set<number>();
  readonly baseFiles = new Set<number>();
  readonly #known = { path: new Map<string, bigint>(), filename: new Map<string, bigint>() };
  readonly #insertText;
  /** The job whose stretches are coming. */
  #open: { jobId: number; files: number; rows: ExtentRow[] } | undefined;
  #fileIndex = { jobId: 0, last: 0 };

  /** Makes the file; close it with `close`. */
  constructor(file: string) {
    this.#db = new Sqlite(file);
    chmodSync(file, 0o600);
    // Thrown away after any error, so nothing needs to be durable or undone.
    this.#db.pragma("journal_mode = MEMORY");
    this.#db.pragma("synchronous = OFF");
    for (const sql of SCRATCH_SCHEMA) this.#db.exec(sql);
    const text = (table: string) =>
      this.#db.prepare<[bigint, string]>(`INSERT OR IGNORE INTO ${table} VALUES (?, ?)`);
    this.#insertText = { path: text("path"), filename: text("filename") };
  }

  has(table: string): boolean {
    return this.#filled.has(table);
  }

  /** Empties everything: the next statement sees the catalogs as they are then. */
  clear(): void {
    for (const index of Object.keys(FILE_INDEXES)) this.#db.exec(`DROP INDEX IF EXISTS ${index}`);
    for (const table of [...Object.keys(FED), "jobmedia", ...BY_RUN]) this.#db.exec(`DELETE FROM ${table}`);
    this.#filled.clear();
    this.files.clear();
    this.baseFiles.clear();
    this.#known.path.clear();
    this.#known.filename.clear();
  }

  /** Rows in the order of the columns of FED. */
  addRows(table: string, rows: readonly SqlValue[][]): void {
    const columns = FED[table];
    if (columns === undefined) throw new BackupError("REQUEST_INVALID", `no table ${table}`);
    const insert = this.#db.prepare(
      `INSERT OR REPLACE INTO ${table} VALUES (${columns.map(() => "?").join(", ")})`,
    );
    this.#db.transaction(() => {
      for (const row of rows) insert.run(...row);
    })();
  }

  /** All rows of a table have come; of names in `more` that are not among them, rows with the next numbers are made. */
  finish(table: string, more: readonly string[] = []): void {
    this.#filled.add(table);
    const column = NAMED[table];
    if (column === undefined) return;
    const [key] = FED[table]!;
    const make = this.#db.prepare(
      `INSERT INTO ${table} (${key}, ${column}) SELECT coalesce((SELECT max(${key}) FROM ${table}), 0) + 1, @name
       WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${column} = @name)`,
    );
    for (const name of [...more].sort()) if (name !== "") make.run({ name });
  }

  /** Where jobs lie, by job and in the order of writing. `filesOf` tells the JobFiles of a run. */
  addExtents(rows: readonly ExtentRow[], filesOf: (jobId: number) => number | undefined): void {
    for (const row of rows) {
      if (this.#open?.jobId !== row.jobId) {
        this.finishExtents();
        this.#open = { jobId: row.jobId, files: filesOf(row.jobId) ?? row.files, rows: [] };
      }
      this.#open?.rows.push(row);
    }
  }

  finishExtents(): void {
    const job = this.#open;
    this.#open = undefined;
    if (job === undefined) return;
    const insert = this.#db.prepare("INSERT OR REPLACE INTO jobmedia VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (const row of jobMediaOf(job.jobId, job.rows, job.files)) {
      const { JobMediaId, JobId, MediaId, FirstIndex, LastIndex } = row;
      const { StartFile, EndFile, StartBlock, EndBlock, VolIndex } = row;
      insert.run(
        ...[JobMediaId, JobId, MediaId, FirstIndex, LastIndex],
        ...[StartFile, EndFile, StartBlock, EndBlock, VolIndex],
      );
    }
  }

  /** After rows of runs have come. */
  indexFiles(): void {
    for (const [name, on] of Object.entries(FILE_INDEXES))
      this.#db.exec(`CREATE INDEX IF NOT EXISTS ${name} ON ${on}`);
  }

  /** Rows of runs' own lists, each list from its first row on. */
  addFiles(rows: readonly FileRow[]): void {
    const insert = this.#db.prepare("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#db.transaction(() => {
      for (const row of rows) {
        if (this.#fileIndex.jobId !== row.jobId) this.#fileIndex = { jobId: row.jobId, last: 0 };
        const deleted = row.type === "deleted";
        const index = deleted ? 0 : ++this.#fileIndex.last;
        const { directory, name } = splitName(row.path, row.type);
        insert.run(
          ...[fileId(row), index, row.jobId, this.#path(directory), this.#name(name), lstatOf(row)],
          row.content === undefined ? "0" : Buffer.from(row.content).toString("base64").replace(/=+$/, ""),
        );
      }
    })();
  }

  /** Entries of a run that lie in its Bases. */
  addBaseFiles(jobId: number, rows: readonly FileRow[]): void {
    const insert = this.#db.prepare(
      "INSERT INTO basefiles (BaseJobId, JobId, FileId, FileIndex) VALUES (?, ?, ?, ?)",
    );
    this.#db.transaction(() => {
      for (const row of rows) insert.run(row.jobId, jobId, fileId(row), row.row);
    })();
  }

  /**
   * SQLite leaves a join with an empty table at once, and would not ask which runs it is about: while that is found
   * out, each table that is filled by run has a row of nobody's.
   */
  placeholders(there: boolean): void {
    for (const table of BY_RUN) {
      const [key] = this.#db
        .prepare(`SELECT name FROM pragma_table_info('${table}')`)
        .pluck()
        .all() as string[];
      if (there) this.#db.exec(`INSERT OR IGNORE INTO ${table} (${key}) VALUES (${NOBODY})`);
      else this.#db.exec(`DELETE FROM ${table} WHERE ${key} = ${NOBODY}`);
    }
  }

  close(): void {
    this.#db.close();
  }

  #path(path: string): bigint {
    return this.#noted("path", path);
  }

  #name(name: string): bigint {
    return this.#noted("filename", name);
  }

  #noted(table: "path" | "filename", text: string): bigint {
    const known = this.#known[table];
    const before = known.get(text);
    if (before !== undefined) return before;
    const id = textId(text);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, id);
    this.#insertText[table].run(id, PLAIN.test(text) ? text : displayPath(text));
    return id;
  }
}

/** Directory with a slash at its end, and name; the entry of a directory itself has no name. */
export function splitName(path: string, type: string): { directory: string; name: string } {
  if (type === "directory") return { directory: path === "/" ? path : `${path}/`, name: "" };
  const cut = path.lastIndexOf("/") + 1;
  return { directory: path.slice(0, cut), name: path.slice(cut) };
}
