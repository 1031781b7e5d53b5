/**
 * GUID partition tables: a header in sector 1 with an array of entries, both under CRC-32, and a second header in the
 * last sector. Source: UEFI specification, chapter 5.3 "GUID Partition Table Disk Layout".
 */
import { crc32 } from "node:zlib";
import type { Partition } from "./partitions.js";
import { type Area, NoMap, safeU64 } from "./source.js";

const SIGNATURE = "EFI PART";
const HEADER_BYTES = 92;

/** Tools make 128 entries of 128 bytes; a table far beyond that is not believed. */
const MAX_ENTRIES = 1024;
const MAX_ENTRY_BYTES = 1024;

interface Header {
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly entriesAt: number;
  readonly count: number;
  readonly entryBytes: number;
  readonly entriesCrc: number;
}

/** The partitions of the first header, or of the last sector's where that one is damaged; undefined: no good one. */
export function gptPartitions(disk: Area, sector: number): Partition[] | undefined {
  return partitionsOf(disk, sector, 1) ?? partitionsOf(disk, sector, Math.floor(disk.size / sector) - 1);
}

function partitionsOf(disk: Area, sector: number, lba: number): Partition[] | undefined {
  try {
    const header = headerAt(disk, sector, lba);
    return header && entriesOf(disk, sector, header);
  } catch (error) {
    if (error instanceof NoMap) return undefined;
    throw error;
  }
}

function headerAt(disk: Area, sector: number, lba: number): Header | undefined {
  const block = disk.read(lba * sector, sector);
  if (block.toString("latin1", 0, 8) !== SIGNATURE) return undefined;
  const length = block.readUInt32LE(12);
  if (length < HEADER_BYTES || length > sector) return undefined;
  const wanted = block.readUInt32LE(16);
  block.writeUInt32LE(0, 16);
  if (crc32(block.subarray(0, length)) !== wanted || safeU64(block, 24) !== lba) return undefined;
  const header = {
    firstUsable: safeU64(block, 40),
    lastUsable: safeU64(block, 48),
    entriesAt: safeU64(block, 72),
    count: block.readUInt32LE(80),
    entryBytes: block.readUInt32LE(84),
    entriesCrc: block.readUInt32LE(88),
  };
  const { count, entryBytes } = header;
  if (count > MAX_ENTRIES || entryBytes < 128 || entryBytes > MAX_ENTRY_BYTES) return undefined;
  return header;
}

function entriesOf(disk: Area, sector: number, header: Header): Partition[] | undefined {
  const array = disk.read(header.entriesAt * sector, header.count * header.entryBytes);
  if (crc32(array) !== header.entriesCrc) return undefined;
  const found: Partition[] = [];
  for (let index = 0; index < header.count; index++) {
    const entry = array.subarray(index * header.entryBytes, (index + 1) * header.entryBytes);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    const first = safeU64(entry, 32);
    const last = safeU64(entry, 40);
    const names = { uuid: guid(entry.subarray(16, 32)), label: nameIn(entry) };
    const one = { number: index + 1, start: first * sector, end: (last + 1) * sector, ...names };
    const isUsable = first >= header.firstUsable && last <= header.lastUsable && last >= first;
    found.push(isUsable ? one : { ...one, doubt: "lies outside of what its table allows" });
  }
  return found;
}

/** The first three fields lie in the table as little-endian numbers. */
function guid(bytes: Buffer): string {
  const hex = (buffer: Buffer): string => buffer.toString("hex");
  const numbers = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)];
  const fields = numbers.map((number) => hex(Buffer.from(number).reverse()));
  return [...fields, hex(bytes.subarray(8, 10)), hex(bytes.subarray(10, 16))].join("-");
}

/** 36 units of UTF-16 up to the first NUL. */
function nameIn(entry: Buffer): string {
  const text = entry.toString("utf16le", 56, 128);
  const end = text.indexOf("\0");
  return Buffer.from(end < 0 ? text : text.slice(0, end)).toString("latin1");
}
