/** What consoles ask of lists, and what they get. */
import type { Row } from "../../common/format/row.js";
import type { LocalJob } from "./types.js";

export interface SelectionRule {
  /** Path key. */
  key: string;
  include: boolean;
  recursive: boolean;
}

type Metadata = "key" | "type" | "flags" | "mode" | "uid" | "gid" | "size" | "mtimeSec" | "mtimeNsec";

/** A row with the director's JobId of the layer it comes from. */
export interface ListedEntry extends Pick<Row, Metadata | "target" | "group"> {
  content: Uint8Array | undefined;
  jobId: number;
  marked: boolean;
  /** Place in the list of that job, from 1 and with deletions; set when asked for and there is a record. */
  row?: number | undefined;
  /** How often that list was put in force anew. */
  turn?: number | undefined;
}

/** A stretch of a volume that holds a job. Offsets are bytes, the end is exclusive. */
export interface JobExtentRow {
  /** Local number, by which pages go on. */
  job: LocalJob;
  jobId: number;
  mediaId: number;
  volume: string;
  ord: number;
  firstOffset: number;
  endOffset: number;
  files: number;
}

export interface EntryQuery {
  /** Director's JobIds. One: its effective list, or with `ownRows` its rows alone; several: layers, oldest first. */
  jobIds: number[];
  ownRows: boolean;
  /** With `ownRows`: the deletions instead of the entries. */
  deleted: boolean;
  /** Key. */
  directory: string;
  children: boolean;
  /** Key; undefined: from the start. */
  after: string | undefined;
  /** 0: all. */
  limit: number;
  rules: SelectionRule[];
  baseOnly: boolean;
  /** Entries come with `row` and `turn`. (Default: false) */
  numbered?: boolean;
  /** With `ownRows`: begins with this row. (Default: 0, the first) */
  fromRow?: number;
  /** With `ownRows`: entries and deletions. (Default: false) */
  withDeleted?: boolean;
  /** Only disk images. (Default: false) */
  images?: boolean;
}

export interface FindQuery {
  client: string;
  /** With `exact` an absolute path, else a glob over the last component or, with a `/` in it, the whole path. */
  pattern: string;
  exact: boolean;
  jobIds: number[];
  limit: number;
  /** Entries come with `row` and `turn`. (Default: false) */
  numbered?: boolean;
}
