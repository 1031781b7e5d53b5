/**
 * Bacula's %-codes in hook commands. Values are put into words that were split before, so a value with blanks,
 * quotes or anything else stays one word and is never interpreted.
 */

import { splitWords } from "../../common/words.js";

/** What the codes stand for. */
export interface CodeValues {
  /** %b bytes of the job so far or at its end. */
  bytes: number;
  /** %c */
  client: string;
  /** %d and %D the director. */
  director: string;
  /** %e outcome: `OK`, `OK -- with warnings`, `Error`, `Canceled`, `Running`. */
  exitStatus: string;
  /** %f */
  fileSet: string;
  /** %F files of the job. */
  files: number;
  /** %h address of the client. */
  clientAddress: string;
  /** %i */
  jobId: number;
  /** %j `NAME.YYYY-MM-DD_HH.MM.SS_NN` */
  job: string;
  /** %l */
  level: string;
  /** %n Job resource. */
  name: string;
  /** %o */
  priority: number;
  /** %p */
  pool: string;
  /** %s start of the run that the level counts from, `1970-01-01 00:00:00` when there is none. */
  since: string;
  /** %t `Backup`, `Restore`, … */
  type: string;
  /** %v volumes, joined by "|"; empty until some were written. */
  volumes: string;
  /** %w */
  storage: string;
  /** %E errors that did not end the job. */
  errors: number;
  /** %R bytes read. */
  readBytes: number;
  /** %P process number of the director. */
  pid: number;
}

const FIELDS: Readonly<Record<string, keyof CodeValues>> = {
  b: "bytes",
  c: "client",
  d: "director",
  D: "director",
  e: "exitStatus",
  E: "errors",
  f: "fileSet",
  F: "files",
  h: "clientAddress",
  i: "jobId",
  j: "job",
  l: "level",
  n: "name",
  o: "priority",
  p: "pool",
  P: "pid",
  R: "readBytes",
  s: "since",
  t: "type",
  v: "volumes",
  w: "storage",
};

/** Replaces the codes of one word; unknown ones stay as they are. */
export function replaceCodes(word: string, values: CodeValues): string {
  return word.replace(/%(.)/gs, (whole, code: string) => {
    if (code === "%") return "%";
    const field = Object.hasOwn(FIELDS, code) ? FIELDS[code]! : undefined;
    return field === undefined ? whole : String(values[field]);
  });
}

/** The words of a hook command. @throws BackupError for an unbalanced quote. */
export function hookWords(command: string, values: CodeValues): string[] {
  return splitWords(command).map((word) => replaceCodes(word, values));
}

/** The same as one text that splits into exactly these words again, for the file daemon. */
export function hookText(command: string, values: CodeValues): string {
  return hookWords(command, values).map(quoteWord).join(" ");
}

/** A word in single quotes where it needs them. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
