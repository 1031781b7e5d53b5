/** Words, letters and columns that several commands print in Bacula's way. */
import { baculaTime } from "../../common/time.js";
import { withCommas } from "../../common/units.js";
import { TYPE_WORDS } from "../job/words.js";
import type { JobRecord } from "./port.js";

const LEVELS: Readonly<Record<string, string>> = {
  F: "Full",
  I: "Incremental",
  D: "Differential",
  B: "Base",
  f: "VirtualFull",
};
const STATUSES: Readonly<Record<string, readonly [long: string, short: string]>> = {
  C: ["Created, not yet running", "Created"],
  R: ["Running", "Running"],
  T: ["OK", "OK"],
  W: ["OK -- with warnings", "OK -- with warnings"],
  D: ["Verify differences", "Diffs"],
  E: ["Error", "Error"],
  f: ["Fatal Error", "Error"],
  A: ["Canceled", "Cancel"],
  I: ["Incomplete", "Incomplete"],
};

/** `Full` for `F`; of restores and others without a level, nothing. */
export function levelName(letter: string): string {
  return LEVELS[letter] ?? "";
}

/** Letter of a level's full name, blank when unknown. */
export function levelLetter(name: string): string {
  return Object.keys(LEVELS).find((letter) => LEVELS[letter]?.toLowerCase() === name.toLowerCase()) ?? " ";
}

export function typeName(letter: string): string {
  return TYPE_WORDS[letter] ?? letter;
}

/** Letter of a job type as the configuration writes it. */
export function typeLetter(type: string): string {
  if (type === "Migrate") return "g";
  return Object.keys(TYPE_WORDS).find((letter) => TYPE_WORDS[letter] === type) ?? " ";
}

/** `OK`, `Canceled`, …: for `wait` and lists of words. */
export function statusName(letter: string): string {
  return STATUSES[letter]?.[0] ?? letter;
}

/** As in the table of terminated jobs: `OK`, `Error`, `Cancel`. */
export function statusWord(letter: string): string {
  return STATUSES[letter]?.[1] ?? letter;
}

/** `2026-11-21 03:23:28`; nothing for 0. */
export function listTime(timeMs: number): string {
  return timeMs > 0 ? baculaTime(timeMs) : "";
}

/** `21-Nov-26 03:23`: times in status displays. */
export function statusTime(timeMs: number): string {
  if (timeMs <= 0) return "";
  const date = new Date(timeMs);
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${two(date.getDate())}-${months[date.getMonth()]}-${two(date.getFullYear() % 100)}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `2.466 M`, `83 `: Bacula's short sizes, powers of 1000. */
export function shortSize(bytes: number): string {
  const groups = withCommas(bytes).split(",");
  if (groups.length === 1) return `${groups[0]} `;
  return `${groups[0]}.${groups[1]} ${["", "K", "M", "G", "T", "P"][groups.length - 1]}`;
}

export const JOB_COLUMNS = [
  "JobId",
  "Name",
  "StartTime",
  "Type",
  "Level",
  "JobFiles",
  "JobBytes",
  "JobStatus",
] as const;

/** A run as a row of `list jobs`. */
export function jobRow(record: JobRecord) {
  return {
    JobId: record.jobId,
    Name: record.name,
    StartTime: listTime(record.startMs > 0 ? record.startMs : record.schedMs),
    Type: record.type,
    Level: record.level,
    JobFiles: record.files,
    JobBytes: record.bytes,
    JobStatus: record.status,
  };
}

/** `-rw-r--r--` of a mode with its type bits, or of a type name and permission bits. */
export function modeText(mode: number, type: string): string {
  const letter = { directory: "d", symlink: "l", charDevice: "c", blockDevice: "b", fifo: "p" }[type] ?? "-";
  const triple = (shift: number, special: boolean, mark: string) => {
    const bits = (mode >> shift) & 7;
    const run = (bits & 1) !== 0;
    const last = special ? (run ? mark : mark.toUpperCase()) : run ? "x" : "-";
    return `${(bits & 4) !== 0 ? "r" : "-"}${(bits & 2) !== 0 ? "w" : "-"}${last}`;
  };
  return (
    letter +
    triple(6, (mode & 0o4000) !== 0, "s") +
    triple(3, (mode & 0o2000) !== 0, "s") +
    triple(0, (mode & 0o1000) !== 0, "t")
  );
}

/** One line of a long listing: mode, links, owner, group, size, date, time, name. */
export function longLine(entry: {
  mode: number;
  type: string;
  links: number;
  uid: number;
  gid: number;
  size: number;
  mtimeSec: number;
  name: string;
}): string {
  const owner = `${String(entry.uid).padEnd(8)} ${String(entry.gid).padEnd(8)}`;
  const front = `${modeText(entry.mode, entry.type)} ${String(entry.links).padStart(3)} ${owner}`;
  return `${front} ${String(entry.size).padStart(12)} ${baculaTime(entry.mtimeSec * 1000)}  ${entry.name}`;
}

/** `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  return `${withCommas(count)} ${noun}${count === 1 ? "" : "s"}`;
}
