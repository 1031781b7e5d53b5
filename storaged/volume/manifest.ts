/**
 * Lines of the manifest: one per row of a job's list, made to be read by awk, sed and a shell. The form is part of
 * the volume format (docs/volume-format.md, "Manifest"): fields are separated by tabs, and bytes that are not
 * printable ASCII, blanks and backslashes are written as `\0ooo`, which `printf %b` turns back.
 */
import { DIGEST_BYTES, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { EntryType, type Row, RowFlag, type Xattr } from "../../common/format/row.js";

/** Where a content can be read: a job whose members hold it (or its parts), and the volume. */
export interface ContentPlace {
  jobId: number;
  volume: string;
}

/** Text of the where column: `12@Full-0001,7@Full-0003`; "-" for none. */
export function formatWhere(places: readonly ContentPlace[]): string {
  return places.length === 0 ? "-" : places.map(({ jobId, volume }) => `${jobId}@${volume}`).join(",");
}

/** Parts on one continuation line: keeps lines below the 2,048 bytes that every awk and sed takes. */
export const PARTS_PER_LINE = 25;

const PLAIN = /^[!-[\]-~]*$/;
const SPECIAL = /[^!-[\]-~]/g;

/** Bytes (latin1 carrier) as one word of printable ASCII; "-" stands for nothing, so a lone "-" is escaped. */
export function escapeText(text: string): string {
  if (text === "-") return "\\0055";
  if (PLAIN.test(text)) return text;
  return text.replace(SPECIAL, (byte) => `\\0${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

const LETTERS: Readonly<Record<EntryType, string>> = {
  [EntryType.file]: "f",
  [EntryType.directory]: "d",
  [EntryType.symlink]: "l",
  [EntryType.charDevice]: "c",
  [EntryType.blockDevice]: "b",
  [EntryType.fifo]: "p",
  [EntryType.deleted]: "x",
};

/** The line of a row, with its newline; `where` is ignored for rows without content. */
export function manifestLine(row: Row, where: string): string {
  const path = escapePath(row.key);
  if (row.type === EntryType.deleted) return `x\t${path}\n`;
  const content = row.content;
  const fields = [
    LETTERS[row.type],
    path,
    row.mode.toString(8).padStart(4, "0"),
    row.uid,
    row.gid,
    row.size,
    decimalTime(row.mtimeSec, row.mtimeNsec),
    flagLetters(row.flags),
    row.group === undefined ? "-" : escapePath(row.group),
    targetOf(row),
    content === undefined ? "-" : `${hasParts(row) ? "parts" : "blake3"}:${content.toString("hex")}`,
    content === undefined ? "-" : where,
  ];
  return `${fields.join("\t")}\n`;
}

/** True when the content of a row is a list of parts. */
export function hasParts(row: Row): boolean {
  return (row.flags & RowFlag.parts) !== 0;
}

/** A continuation line: one extended attribute of the row above. */
export function xattrLine(xattr: Xattr): string {
  return `@\t${escapeText(xattr.name)}\t${xattr.value.length === 0 ? "-" : xattr.value.toString("base64")}\n`;
}

/** Continuation lines for encoded parts: `digest:length`, `zero:length` for runs of zeros. */
export function partsLines(parts: Buffer): string {
  let out = "";
  for (let at = 0, onLine = 0; at < parts.length; at += PART_BYTES) {
    const length = parts.readUInt32LE(at);
    const digest = parts.subarray(at + 4, at + 4 + DIGEST_BYTES);
    const name = digest.equals(ZERO_DIGEST) ? "zero" : digest.toString("hex");
    out += `${onLine === 0 ? "+\t" : " "}${name}:${length}`;
    onLine++;
    if (onLine === PARTS_PER_LINE || at + PART_BYTES >= parts.length) {
      out += "\n";
      onLine = 0;
    }
  }
  return out;
}

function escapePath(key: string): string {
  return `/${escapeText(key.replaceAll("\0", "/"))}`;
}

function targetOf(row: Row): string {
  if (row.type === EntryType.symlink) return escapeText(row.target);
  if (row.type === EntryType.charDevice || row.type === EntryType.blockDevice)
    return `${row.major}:${row.minor}`;
  return "-";
}

function flagLetters(flags: number): string {
  let out = "";
  if ((flags & RowFlag.sparse) !== 0) out += "s";
  if ((flags & RowFlag.unstable) !== 0) out += "u";
  if ((flags & RowFlag.unverified) !== 0) out += "k";
  if ((flags & RowFlag.damaged) !== 0) out += "d";
  if ((flags & RowFlag.fifo) !== 0) out += "p";
  return out === "" ? "-" : out;
}

/** Seconds as a decimal number: second -2 and 750,000,000 ns is -1.250000000. */
function decimalTime(sec: number, nsec: number): string {
  if (nsec === 0) return String(sec);
  if (sec >= 0) return `${sec}.${String(nsec).padStart(9, "0")}`;
  return `-${-(sec + 1)}.${String(1_000_000_000 - nsec).padStart(9, "0")}`;
}
