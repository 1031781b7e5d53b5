/** Lines of the manifest back into rows: see manifest-parse.ts. */
import { MAX_WHOLE_BYTES } from "../../common/format/content.js";
import { isSafeKey, MAX_KEY_BYTES } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row, RowFlag } from "../../common/format/row.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { ContentPlace } from "./manifest.js";

/** Owners and device numbers are 32 bits. */
const MAX_ID = 0xffff_ffff;

/** What list blocks hold (ByteWriter.int): one more below zero than above. */
const MAX_SECONDS = 2 ** 52 - 1;
const MIN_SECONDS = -(2 ** 52);

const LETTERS: ReadonlyMap<string, EntryType> = new Map([
  ["f", EntryType.file],
  ["d", EntryType.directory],
  ["l", EntryType.symlink],
  ["c", EntryType.charDevice],
  ["b", EntryType.blockDevice],
  ["p", EntryType.fifo],
  ["x", EntryType.deleted],
]);

const FLAGS: ReadonlyMap<string, number> = new Map([
  ["s", RowFlag.sparse],
  ["u", RowFlag.unstable],
  ["k", RowFlag.unverified],
  ["d", RowFlag.damaged],
  ["p", RowFlag.fifo],
]);

/**
 * The row of a manifest line (without its newline), attributes and parts aside. The caller writes the row again and
 * compares, so that only the one right form of a line passes.
 * @throws GarbledInput
 */
export function parseRowLine(line: string): { row: Row; where: ContentPlace[] } {
  const fields = line.split("\t");
  const type = LETTERS.get(fields[0]!);
  if (type === undefined || fields.length !== (type === EntryType.deleted ? 2 : 12)) {
    throw new GarbledInput("not a line of a manifest");
  }
  const row = emptyRow(parsePath(fields[1]!), type);
  if (type === EntryType.deleted) return { row, where: [] };
  const [, , mode, uid, gid, size, time, flags, group, target, content, where] = fields;
  if (!/^[0-7]{4}$/.test(mode!)) throw new GarbledInput("manifest with a bad mode");
  row.mode = Number.parseInt(mode!, 8);
  row.uid = number(uid!, MAX_ID);
  row.gid = number(gid!, MAX_ID);
  row.size = number(size!, Number.MAX_SAFE_INTEGER);
  parseTime(row, time!);
  if (flags !== "-") for (const letter of flags!) row.flags |= flagOf(letter);
  if (group !== "-") row.group = parsePath(group!);
  parseTarget(row, target!);
  parseContent(row, content!);
  return { row, where: row.content === undefined ? [] : parseWhere(where!) };
}

function flagOf(letter: string): number {
  const flag = FLAGS.get(letter);
  if (flag === undefined) throw new GarbledInput("manifest with an unknown flag");
  return flag;
}

function parseTime(row: Row, text: string): void {
  const found = /^(-?)(\d{1,16})(?:\.(\d{9}))?$/.exec(text);
  if (found === null) throw new GarbledInput("manifest with a bad time");
  const [, sign, whole, fraction] = found;
  const negative = sign === "-";
  const nsec = Number(fraction ?? "0");
  row.mtimeSec = negative ? -Number(whole) - (nsec > 0 ? 1 : 0) : Number(whole);
  row.mtimeNsec = negative && nsec > 0 ? 1_000_000_000 - nsec : nsec;
  if (row.mtimeSec > MAX_SECONDS || row.mtimeSec < MIN_SECONDS)
    throw new GarbledInput("manifest with a bad time");
}

function parseTarget(row: Row, text: string): void {
  if (row.type === EntryType.symlink) {
    row.target = text === "-" ? "" : unescapeText(text);
    if (row.target === "" || row.target.length > MAX_KEY_BYTES || row.target.includes("\0")) {
      throw new GarbledInput("manifest with a bad link target");
    }
  } else if (row.type === EntryType.charDevice || row.type === EntryType.blockDevice) {
    const [major, minor, more] = text.split(":");
    if (minor === undefined || more !== undefined) throw new GarbledInput("manifest with a bad device");
    row.major = number(major!, MAX_ID);
    row.minor = number(minor, MAX_ID);
  }
}

function parseContent(row: Row, text: string): void {
  const found = /^(blake3|parts):([0-9a-f]{64})$/.exec(text);
  const needed = row.type === EntryType.file && row.size > 0;
  if ((found !== null) !== needed || (found === null && text !== "-") || (!needed && row.size > 0)) {
    throw new GarbledInput("manifest with a content where none can be, or without one");
  }
  if (found === null) return;
  if (found[1] === "parts") row.flags |= RowFlag.parts;
  else if (row.size > MAX_WHOLE_BYTES) throw new GarbledInput("manifest with a chunk of impossible size");
  row.content = Buffer.from(found[2]!, "hex");
}

function parseWhere(text: string): ContentPlace[] {
  if (text === "-") return [];
  return text.split(",").map((place) => {
    const at = place.indexOf("@");
    if (at < 0 || at === place.length - 1) throw new GarbledInput("manifest with a bad place");
    return { jobId: number(place.slice(0, at), Number.MAX_SAFE_INTEGER), volume: place.slice(at + 1) };
  });
}

/** A decimal number without leading zeros. */
function number(text: string, most: number): number {
  const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new GarbledInput("manifest with a bad number");
  return value;
}

function parsePath(text: string): string {
  if (!text.startsWith("/")) throw new GarbledInput("manifest with a bad path");
  const path = unescapeText(text.slice(1));
  if (path.includes("\0")) throw new GarbledInput("manifest with a bad path");
  const key = path.replaceAll("/", "\0");
  if (!isSafeKey(key)) throw new GarbledInput("manifest with an unsafe path");
  return key;
}

/** Inverse of escapeText for text that is in its form; other text comes back changed or as it is. */
export function unescapeText(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\0([0-3][0-7]{2})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
