/**
 * Carries out one console's statements: reads the director's database through a connection that cannot write, and
 * asks for what else a statement needs.
 *
 * Which runs' file lists a statement needs shows when it is carried out: passes over views that note down what is
 * missing, until nothing is. Then it is carried out for good. A result is read twice, once for the widths of its
 * columns, unless it is short: memory does not grow with it.
 */
import Sqlite, { type Database, type Statement } from "better-sqlite3";
import { BackupError, codeOf } from "../../../common/errors.js";
import { withCommas } from "../../../common/units.js";
import { formatBlock, NO_RESULTS, TableShape } from "../table.js";
import { lengthOf, plain, printed, type RawValue } from "./cells.js";
import type { Needs, ResultForm, SqlValue } from "./protocol.js";
import { Scratch } from "./scratch.js";
import { namesIn, startsReading, trimmed, withString } from "./statement.js";
import { ALL_NAME_VIEWS, ASKING_VIEWS, FILLED_VIEWS, NAME_VIEWS, USES, VIEWS } from "./tables.js";

/** What the outside does for the engine. */
export interface EngineHost {
  /** Fills the scratch database. @throws BackupError when that cannot be done */
  fetch(needs: Needs, scratch: Scratch): Promise<void>;
  text(text: string): Promise<void>;
  records(records: Record<string, SqlValue>[]): Promise<void>;
}

/** Rows kept from the first reading of a result; a longer one is read again. */
const KEPT_ROWS = 1000;
const KEPT_CHARS = 4_194_304;
const CHUNK_CHARS = 65_536;
const CHUNK_RECORDS = 500;
/** Of a result that is put together before it is printed. */
const MAX_RECORD_CHARS = 64 * 1024 * 1024;
/** Runs that a statement may ask for: more than there are numbers of in any catalog that answers in time. */
const MAX_RUNS = 500_000;
/** Passes that may ask for more runs. */
const MAX_PASSES = 20;
const NAMES_OF: Readonly<Record<string, string>> = { client: "client", pool: "pool", fileset: "file_set" };

type Line = RawValue[];

export class SqlEngine {
  readonly #db: Database;
  readonly #scratch: Scratch;
  readonly #host: EngineHost;
  /** Pages at which the tables of `main` that may be read, and their indexes, begin. */
  readonly #readable: ReadonlySet<bigint>;
  #missing: { files: Set<number>; baseFiles: Set<number> } = { files: new Set(), baseFiles: new Set() };

  /** `database`: the director's; `scratch`: a name for a file that is not there. Close it with `close`. */
  constructor(database: string, scratch: string, host: EngineHost) {
    this.#host = host;
    this.#db = new Sqlite(database, { readonly: true, fileMustExist: true });
    this.#db.pragma("busy_timeout = 10000");
    this.#db.pragma("temp_store = FILE");
    this.#db.defaultSafeIntegers(true);
    this.#scratch = new Scratch(scratch);
    this.#db.prepare("ATTACH ? AS s").run(scratch);
    this.#ask("need_files", this.#scratch.files, () => this.#missing.files);
    this.#ask("need_base", this.#scratch.baseFiles, () => this.#missing.baseFiles);
    for (const view of VIEWS) this.#db.exec(`CREATE TEMP VIEW ${view}`);
    const pages = this.#db.prepare<[], bigint>(
      "SELECT rootpage FROM main.sqlite_master WHERE tbl_name IN ('job', 'job_history', 'log')",
    );
    this.#readable = new Set(pages.pluck().all());
  }

  close(): void {
    this.#db.close();
    this.#scratch.close();
  }

  /**
   * @throws BackupError SQL_REFUSED for what does more than read, SQL_FAILED with SQLite's words
   */
  async run(sql: string, form: ResultForm): Promise<void> {
    this.#scratch.clear();
    const names = namesIn(sql);
    this.#useViews([...ASKING_VIEWS, ...(names.has("file") ? NAME_VIEWS : ALL_NAME_VIEWS)]);
    const text = this.#checked(trimmed(sql));
    await this.#fill(names, text);
    this.#useViews([...FILLED_VIEWS, ...NAME_VIEWS]);
    await this.#guarded(() => this.#print(text, form));
  }

  /** A table function of one value that has a row if that run is here, and notes down the run if not. */
  #ask(name: string, here: ReadonlySet<number>, missing: () => Set<number>): void {
    this.#db.table(name, {
      columns: ["there"],
      parameters: ["needed"],
      *rows(needed: unknown) {
        const jobId = Number(needed);
        if (here.has(jobId)) yield [1];
        else if (missing().size < MAX_RUNS) missing().add(jobId);
        else throw new BackupError("SQL_REFUSED", `more than ${withCommas(MAX_RUNS)} runs are asked for`);
      },
    });
  }

  #useViews(views: readonly string[]): void {
    for (const view of views) {
      this.#db.exec(`DROP VIEW IF EXISTS temp.${view.slice(0, view.indexOf(" "))}`);
      this.#db.exec(`CREATE TEMP VIEW ${view}`);
    }
  }

  /**
   * Of the director's own tables only those are read that Bacula's are made of: others hold what no console is shown,
   * such as the addresses of webhooks.
   * @throws BackupError SQL_REFUSED
   */
  #checkTables(sql: string): void {
    if (/^\s*explain\b/i.test(sql)) return;
    const program = this.#db.prepare<[], { opcode: string; p2: bigint; p3: bigint }>(`EXPLAIN ${sql}`);
    for (const { opcode, p2, p3 } of program.iterate()) {
      // The page that a table begins at, and the database, of which `main` is the first.
      if (/^(Open|Reopen)(Read|Write|Idx)/.test(opcode) && p3 === 0n && !this.#readable.has(p2))
        throw new BackupError("SQL_REFUSED", "this table is the director's own and is not shown");
    }
  }

  /** The statement as SQLite takes it. */
  #checked(sql: string): string {
    if (!startsReading(sql))
      throw new BackupError("SQL_REFUSED", "only SELECT, WITH, VALUES and EXPLAIN are carried out here");
    let text = sql;
    // One more word of a statement becomes a string each time.
    for (;;) {
      try {
        const statement = this.#db.prepare(text);
        if (!statement.readonly || !statement.reader)
          throw new BackupError("SQL_REFUSED", "the catalog cannot be changed by SQL");
        this.#checkTables(text);
        return text;
      } catch (error) {
        if (error instanceof BackupError) throw error;
        const other = withString(text, (error as Error).message);
        if (other === undefined) throw failed(error);
        text = other;
      }
    }
  }

  async #fill(names: ReadonlySet<string>, sql: string): Promise<void> {
    const uses = new Set([...names].flatMap((name) => USES[name] ?? []));
    // Only their numbers are asked for, and a daemon that is away should not matter to those who do not ask.
    if (!["poolid", "*", "pool", "media", "mediatype"].some((name) => names.has(name))) uses.delete("pool");
    const tables = [...uses].filter((table) => !this.#scratch.has(table));
    if (tables.length > 0) {
      await this.#host.fetch({ tables, files: [], baseFiles: [] }, this.#scratch);
      for (const table of tables) this.#scratch.finish(table, this.#otherNames(table));
    }
    if (!["file", "path", "filename", "basefiles"].some((name) => names.has(name))) return;
    this.#scratch.placeholders(true);
    for (let pass = 0; ; pass++) {
      this.#missing = { files: new Set(), baseFiles: new Set() };
      await this.#guarded(async () => {
        for (const _row of this.#statement(sql).iterate());
      });
      const { files, baseFiles } = this.#missing;
      if (files.size === 0 && baseFiles.size === 0) break;
      if (pass >= MAX_PASSES)
        throw new BackupError(
          "SQL_REFUSED",
          "the runs whose files are needed depend on files too many times",
        );
      await this.#host.fetch({ tables: [], files: [...files], baseFiles: [...baseFiles] }, this.#scratch);
      this.#scratch.indexFiles();
      for (const jobId of files) this.#scratch.files.add(jobId);
      for (const jobId of baseFiles) this.#scratch.baseFiles.add(jobId);
    }
    this.#scratch.placeholders(false);
  }

  /** Names in the records of runs, which the configuration may not know any more. */
  #otherNames(table: string): string[] {
    const column = NAMES_OF[table];
    if (column === undefined) return [];
    return this.#db.prepare<[], string>(`SELECT DISTINCT ${column} FROM main.job`).pluck().all();
  }

  /** JobFiles of a run. */
  filesOf(jobId: number): number | undefined {
    const files = this.#db.prepare<[number], bigint>("SELECT files FROM main.job WHERE job_id = ?").pluck();
    const found = files.get(jobId);
    return found === undefined ? undefined : Number(found);
  }

  #statement(sql: string): Statement<[], Line> {
    return this.#db.prepare<[], Line>(sql).raw();
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw error instanceof BackupError ? error : failed(error);
    }
  }

  async #print(sql: string, form: ResultForm): Promise<void> {
    const statement = this.#statement(sql);
    const columns = statement.columns().map(({ name }) => name);
    if (form === "records") return await this.#printRecords(statement, columns);
    const shape = new TableShape(columns);
    const kept: string[][] = [];
    let [rows, chars] = [0, 0];
    for (const line of statement.iterate()) {
      chars += lengthOf(line);
      const cells = line.map((value) => printed(value, form));
      rows++;
      if (isShort(rows, chars)) kept.push(cells);
      shape.fit(cells);
    }
    if (rows === 0) return await this.#host.text(form === "tabs" ? "" : NO_RESULTS);
    const whole = isShort(rows, chars) ? kept : linesOf(statement, form);
    let text = form === "table" ? shape.head : "";
    for (const cells of whole) {
      text +=
        form === "table"
          ? shape.line(cells)
          : form === "tabs"
            ? `${cells.join("\t")}\n`
            : formatBlock(columns, cells);
      if (text.length < CHUNK_CHARS) continue;
      await this.#host.text(text);
      text = "";
    }
    await this.#host.text(text + (form === "table" ? shape.border : ""));
  }

  async #printRecords(statement: Statement<[], Line>, columns: readonly string[]): Promise<void> {
    let records: Record<string, SqlValue>[] = [];
    let [chars, sent] = [0, 0];
    for (const line of statement.iterate()) {
      chars += lengthOf(line);
      if (chars > MAX_RECORD_CHARS)
        throw new BackupError("SQL_REFUSED", "the result is larger than 64 MiB: use LIMIT and OFFSET");
      records.push(Object.fromEntries(columns.map((column, index) => [column, plain(line[index]!)])));
      if (records.length < CHUNK_RECORDS && chars - sent < KEPT_CHARS) continue;
      await this.#host.records(records);
      records = [];
      sent = chars;
    }
    await this.#host.records(records);
  }
}

/** Is a result kept from its first reading? */
function isShort(rows: number, chars: number): boolean {
  return rows <= KEPT_ROWS && chars <= KEPT_CHARS;
}

function* linesOf(statement: Statement<[], Line>, form: ResultForm): Generator<string[]> {
  for (const line of statement.iterate()) {
    // The catalog may have changed since the first reading.
    lengthOf(line);
    yield line.map((value) => printed(value, form));
  }
}

function failed(error: unknown): BackupError {
  const code = codeOf(error) ?? "";
  const text = (error as Error).message;
  if (!code.startsWith("SQLITE") && !(error instanceof RangeError) && !(error instanceof TypeError))
    throw error;
  return new BackupError("SQL_FAILED", text, { cause: error });
}
