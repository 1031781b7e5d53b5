/**
 * Where on a disk file systems may be. A table only says where to look and how far to believe: what cannot be made
 * sense of is a partition with a doubt, and a doubt means that all of it is read.
 */
import { gptPartitions } from "./gpt.js";
import { mbrKind, mbrPartitions } from "./mbr.js";
import { signaturesOf } from "./signatures.js";
import { Area, type BlockSource, NoMap } from "./source.js";

/** A stretch of the disk that a file system may fill. */
export interface Partition {
  /** As Linux numbers them: 1 to 4 and every GPT entry by its place, logical ones from 5; 0 for a disk as a whole. */
  readonly number: number;
  /** First byte. */
  readonly start: number;
  /** One behind the last byte; may lie beyond the disk, then there is a doubt. */
  readonly end: number;
  /** Why nothing in it may be left out. */
  readonly doubt?: string;
  /** What Linux calls PARTUUID, in lower case. */
  readonly uuid?: string;
  /** What Linux calls PARTLABEL, in UTF-8 as latin1 carrier; tables of GPT alone have it. */
  readonly label?: string;
}

/** Both sizes that disks have; a table counts in them, and says which only by where things are. */
const SECTOR_SIZES = [512, 4096] as const;

/**
 * The partitions of a disk, by their start: those of its GPT, or of its MBR with the logical ones of an extended
 * partition, or one with the number 0 for a disk without a table. What does not belong to a partition is not listed,
 * and is to be read. At most some thousand; never throws.
 */
export function partitions(source: BlockSource): Partition[] {
  const disk = new Area(source, 0, source.size);
  return orNone(source, () => {
    const found = withDoubts(disk, tableOf(disk));
    const whole = wholeDiskDoubt(disk, found);
    return whole === undefined ? found : found.map((one) => ({ ...one, doubt: one.doubt ?? whole }));
  });
}

/**
 * The same for who wants to use the partitions: what the disk as a whole may look like (left over from before the table
 * was made, or a boot image that is both) is no doubt.
 */
export function usablePartitions(source: BlockSource): Partition[] {
  const disk = new Area(source, 0, source.size);
  return orNone(source, () => withDoubts(disk, tableOf(disk)));
}

function orNone(source: BlockSource, find: () => Partition[]): Partition[] {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof NoMap)) throw error;
    return [{ number: 0, start: 0, end: source.size, doubt: error.message }];
  }
}

function tableOf(disk: Area): Partition[] {
  const kind = mbrKind(disk);
  if (kind === "none") return [{ number: 0, start: 0, end: disk.size }];
  if (kind === "protective") {
    for (const sector of SECTOR_SIZES) {
      const found = gptPartitions(disk, sector);
      if (found !== undefined) return found;
    }
    throw new NoMap("damaged partition table (GPT)");
  }
  return mbrTable(disk);
}

/** An MBR counts in sectors of unknown size: the one with file systems where its partitions start, else 512 bytes. */
function mbrTable(disk: Area): Partition[] {
  const [small, large] = SECTOR_SIZES.map((sector) => mbrPartitions(disk, sector));
  const [smallFits, largeFits] = [small!, large!].map((table) =>
    table.some((one) => isRecognized(disk, one)),
  );
  if (smallFits && largeFits) throw new NoMap("ambiguous partition table (sectors of 512 or 4096 bytes)");
  return largeFits ? large! : small!;
}

function isRecognized(disk: Area, { start, end }: Partition): boolean {
  if (start <= 0 || end > disk.size || end <= start) return false;
  try {
    return signaturesOf(disk.part(start, end - start)).length > 0;
  } catch (error) {
    if (error instanceof NoMap) return false;
    throw error;
  }
}

function withDoubts(disk: Area, table: readonly Partition[]): Partition[] {
  const sorted = [...table].sort((a, b) => a.start - b.start || a.end - b.end);
  const doubts = new Map<Partition, string>();
  let widest: Partition | undefined;
  for (const one of sorted) {
    if (one.end > disk.size) doubts.set(one, "reaches beyond the disk");
    if (widest !== undefined && one.start < widest.end) {
      doubts.set(one, `overlaps partition ${widest.number}`);
      doubts.set(widest, `overlaps partition ${one.number}`);
    }
    if (widest === undefined || one.end > widest.end) widest = one;
  }
  return sorted.map((one) => {
    const doubt = one.doubt ?? doubts.get(one);
    return doubt === undefined ? one : { ...one, doubt };
  });
}

/** Something over the whole disk and partitions inside of it: one of the two is left over from before. */
function wholeDiskDoubt(disk: Area, table: readonly Partition[]): string | undefined {
  if (table.every(({ number }) => number === 0)) return undefined;
  const names = signaturesOf(disk);
  return names.length === 0 ? undefined : `the whole disk looks like ${names.join(" and ")}`;
}
