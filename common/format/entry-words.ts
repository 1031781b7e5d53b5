/** What the types of entries are called on the wire. */

import { EntryType } from "./row.js";

export const ENTRY_TYPE_WORDS: Readonly<Record<number, string>> = {
  [EntryType.file]: "file",
  [EntryType.directory]: "directory",
  [EntryType.symlink]: "symlink",
  [EntryType.charDevice]: "charDevice",
  [EntryType.blockDevice]: "blockDevice",
  [EntryType.fifo]: "fifo",
  [EntryType.deleted]: "deleted",
};
