/**
 * The partition table of PCs in the first sector: four primary entries, one of which may be an extended partition with
 * a chain of further tables, one per logical partition. Sources: util-linux' manual page fdisk(8); for the numbering
 * Linux, block/partitions/msdos.c.
 */
import type { Partition } from "./partitions.js";
import type { Area } from "./source.js";

interface Entry {
  readonly type: number;
  /** Sectors. */
  readonly start: number;
  /** Sectors. */
  readonly count: number;
}

const DISK_ID_AT = 440;
const ENTRIES_AT = 446;
const PROTECTIVE = 0xee;
const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);

/** More logical partitions than Linux gives device names to. A chain beyond that is taken for endless. */
const MAX_LOGICAL = 128;

/** The four entries of a sector with a table; undefined without its signature, or with nonsense in it. */
function entriesOf(sector: Buffer): Entry[] | undefined {
  if (sector.readUInt16LE(510) !== 0xaa55) return undefined;
  const entries: Entry[] = [];
  for (let at = ENTRIES_AT; at < 510; at += 16) {
    // Anything but these two is the code of a boot sector that only shares the signature.
    if ((sector[at]! & 0x7f) !== 0) return undefined;
    entries.push({
      type: sector[at + 4]!,
      start: sector.readUInt32LE(at + 8),
      count: sector.readUInt32LE(at + 12),
    });
  }
  return entries;
}

const isUsed = ({ type, count }: Entry): boolean => type !== 0 && count !== 0;

/** What the first sector holds: no table (or an empty one), one that stands for a GPT, or a real one. */
export function mbrKind(disk: Area): "none" | "protective" | "table" {
  if (disk.size < 512) return "none";
  const entries = entriesOf(disk.read(0, 512));
  if (entries?.some(({ type }) => type === PROTECTIVE)) return "protective";
  return entries?.some(isUsed) ? "table" : "none";
}

/**
 * Primary and logical partitions in the order of the table; an extended partition itself is none.
 * @throws NoMap when the first sector cannot be read
 */
export function mbrPartitions(disk: Area, sector: number): Partition[] {
  const first = disk.read(0, 512);
  const diskId = first.readUInt32LE(DISK_ID_AT).toString(16).padStart(8, "0");
  return tablePartitions(disk, entriesOf(first) ?? [], sector).map((one) => ({
    ...one,
    uuid: `${diskId}-${one.number.toString(16).padStart(2, "0")}`,
  }));
}

function tablePartitions(disk: Area, entries: readonly Entry[], sector: number): Partition[] {
  const found: Partition[] = [];
  const extended: Entry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (!isUsed(entry)) continue;
    if (EXTENDED.has(entry.type)) extended.push(entry);
    else found.push(partition(index + 1, entry.start, entry.count, sector));
  }
  // Linux follows each; a second one is against every rule.
  if (extended.length > 1) return found.map((one) => ({ ...one, doubt: "more than one extended partition" }));
  return extended[0] === undefined ? found : [...found, ...logicalPartitions(disk, extended[0], sector)];
}

function partition(number: number, start: number, count: number, sector: number): Partition {
  return { number, start: start * sector, end: (start + count) * sector };
}

/** Follows the chain. Where it breaks, loops or leaves its extended partition, all that it gave is in doubt. */
function logicalPartitions(disk: Area, extended: Entry, sector: number): Partition[] {
  const found: Partition[] = [];
  const broken = () => found.map((one) => ({ ...one, doubt: "broken chain of logical partitions" }));
  const seen = new Set<number>();
  const limit = extended.start + extended.count;
  let table: number | undefined = extended.start;
  while (table !== undefined) {
    const at: number = table * sector;
    if (seen.has(table) || seen.size >= MAX_LOGICAL || table >= limit || at + 512 > disk.size)
      return broken();
    seen.add(table);
    const entries = entriesOf(disk.read(at, 512));
    if (entries === undefined) return broken();
    table = undefined;
    for (const entry of entries.filter(isUsed)) {
      if (EXTENDED.has(entry.type)) {
        if (table !== undefined) return broken();
        table = extended.start + entry.start;
        continue;
      }
      const start: number = at / sector + entry.start;
      found.push(partition(5 + found.length, start, entry.count, sector));
      if (entry.start === 0 || start + entry.count > limit || found.length > MAX_LOGICAL) return broken();
    }
  }
  return found;
}
