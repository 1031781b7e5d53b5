/** What lists are asked for. */

import type { SelectionRule } from "./types.js";

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
}

export interface FindQuery {
  client: string;
  /** With `exact` an absolute path, else a glob over the last component or, with a `/` in it, the whole path. */
  pattern: string;
  exact: boolean;
  jobIds: number[];
  limit: number;
}
