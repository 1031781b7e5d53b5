/** What a mail says: its subject by Bacula's %-codes, its text from the lines of a job. */

import { baculaTime } from "../../common/time.js";
import type { JobRecord, StatusLetter } from "../db/records.js";
import { type CodeValues, replaceCodes } from "../job/codes.js";
import { OUTCOME_WORDS, TYPE_WORDS } from "../job/words.js";

const LEVELS: Readonly<Record<string, string>> = {
  F: "Full",
  I: "Incremental",
  D: "Differential",
  B: "Base",
  f: "Virtual Full",
};
const DAEMON_SUBJECT = "Bacula daemon message";
/** Servers refuse mails of more than some megabytes. */
const MAX_TEXT = 1_000_000;

function codesOf(record: JobRecord, director: string, clientAddress: string): CodeValues {
  const type = TYPE_WORDS[record.type] ?? record.type;
  return {
    bytes: record.bytes,
    client: record.client,
    clientAddress,
    director,
    exitStatus: OUTCOME_WORDS[record.status] ?? record.status,
    errors: record.errors,
    fileSet: record.fileSet,
    files: record.files,
    jobId: record.jobId,
    job: record.job,
    level: LEVELS[record.level] ?? "",
    name: record.name,
    priority: record.priority,
    pool: record.pool,
    pid: process.pid,
    readBytes: record.readBytes,
    since: baculaTime(record.startMs > 0 ? record.startMs : record.schedMs),
    storage: record.storage,
    type,
    volumes: record.volumes.join("|"),
  };
}

/** A text with its codes replaced, on one line. */
function oneLine(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f]+/g, " ")
    .replace(/ {2,}/g, " ")
    .trim();
}

/** %r stands for the recipients. */
export function withRecipients(text: string, recipients: string): string {
  return text.replace(/%([r%])/g, (whole, code: string) => (code === "r" ? recipients : whole));
}

/** Subject of a mail about a job; without one that of the daemon's own messages. */
export function subjectOf(
  template: string,
  { record, director, clientAddress, recipients }: SubjectParts,
): string {
  if (record === undefined) return DAEMON_SUBJECT;
  return oneLine(
    replaceCodes(withRecipients(template, recipients), codesOf(record, director, clientAddress)),
  );
}

export interface SubjectParts {
  record: JobRecord | undefined;
  clientAddress: string;
  /** The director's name. */
  director: string;
  recipients: string;
}

/** True when a destination gets the mail of a job that ended so; undefined: no job. */
export function sendsFor(kind: string, status: StatusLetter | undefined): boolean {
  if (kind === "mail") return true;
  const good = status === "T" || status === "W";
  if (kind === "mailOnError") return status !== "T";
  return kind === "mailOnSuccess" && good;
}

/** Lines as the text of a mail; the middle of a very long one is left out, and said so. */
export function mailText(lines: readonly string[], missing: { count: number; after: number }): string {
  const all = [...lines];
  const total = all.reduce((sum, line) => sum + line.length + 1, 0);
  let dropped = missing.count;
  let at = Math.min(missing.after, all.length);
  if (total > MAX_TEXT) {
    const from = fitting(all, (MAX_TEXT * 3) / 4);
    const to = all.length - fitting([...all].reverse(), MAX_TEXT / 4);
    if (to > from) {
      dropped += all.splice(from, to - from).length;
      at = from;
    }
  }
  if (dropped > 0) all.splice(at, 0, `[${dropped} messages left out here; see: list joblog]`);
  return all.map((line) => `${line.slice(0, MAX_TEXT)}\n`).join("");
}

/** How many of the first lines fit. */
function fitting(lines: readonly string[], limit: number): number {
  let sum = 0;
  const end = lines.findIndex((line) => {
    sum += line.length + 1;
    return sum > limit;
  });
  return end < 0 ? lines.length : end;
}
