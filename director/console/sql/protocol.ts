/** What the director and the process that carries out SQL say to each other. */

import type { StatFields } from "./lstat.js";

/** How a result is printed: as a table, as blocks of keys and values, as values with tabs between, as records. */
export type ResultForm = "table" | "blocks" | "tabs" | "records";

export type SqlValue = string | number | bigint | null;

/** A row of a file list: place in it, and what Bacula's table File says of an entry. */
export interface FileRow extends StatFields {
  jobId: number;
  row: number;
  turn: number;
  /** latin1 carrier */
  path: string;
  content: Uint8Array | undefined;
}

/** Where a job lies on a volume; `files`: of the job, if the director does not know it. */
export interface ExtentRow {
  jobId: number;
  mediaId: number;
  firstOffset: number;
  endOffset: number;
  files: number;
}

/** What a statement needs that is not in the director's database. */
export interface Needs {
  /** Names of FED tables. */
  tables: string[];
  /** JobIds whose own rows are needed. */
  files: number[];
  /** JobIds whose entries from Bases are needed. */
  baseFiles: number[];
}

export type ToSql =
  | { kind: "statement"; sql: string; form: ResultForm }
  | { kind: "rows"; table: string; rows: SqlValue[][] }
  | { kind: "extents"; rows: ExtentRow[] }
  | { kind: "files"; rows: FileRow[] }
  /** Entries of `jobId` that lie in its Bases. */
  | { kind: "baseFiles"; jobId: number; rows: FileRow[] }
  /** All that was needed has come. */
  | { kind: "filled" }
  /** It cannot be had. */
  | { kind: "refused"; message: string }
  /** The last message was taken. */
  | { kind: "taken" };

export type FromSql =
  | { kind: "need"; needs: Needs }
  | { kind: "text"; text: string }
  | { kind: "records"; records: Record<string, SqlValue>[] }
  | { kind: "done"; error?: string }
  | { kind: "taken" };
