/**
 * What of a disk image need not be read: the blocks that its file systems do not use. Partitions, file systems, and
 * one line about each for the job's report. Whatever is in doubt is not in the ranges.
 */
import { formatBytes } from "../../../common/units.js";
import { extMap } from "./ext-map.js";
import type { FreeMap } from "./free-map.js";
import { type Partition, partitions } from "./partitions.js";
import { type ByteRange, wholeBlocks } from "./ranges.js";
import { mappedFilesystemOf } from "./signatures.js";
import { Area, type BlockSource, NoMap } from "./source.js";
import { xfsMap } from "./xfs-map.js";

export interface FreeSpace {
  /** One line per partition: `partition 1, ext4: 3.1 GB of 8.0 GB free`, `partition 2, swap: read whole (...)`. */
  readonly notes: readonly string[];
  /** Bytes that are free, before ranges are cut to whole blocks. */
  readonly freeBytes: number;
  /**
   * Ranges that no file system uses, ascending, disjoint, never touching, in whole blocks of `blockSize` bytes counted
   * from the start of the disk. Each call reads the maps again, in memory that does not depend on the disk's size.
   */
  ranges(blockSize: number): Iterable<ByteRange>;
}

/**
 * Looks at all partitions, and checks the maps of their file systems from end to end. The source must not change
 * until its ranges have been used. Never throws for what is on the disk.
 */
export function freeSpace(source: BlockSource): FreeSpace {
  const maps: FreeMap[] = [];
  const notes: string[] = [];
  let freeBytes = 0;
  for (const partition of partitions(source)) {
    const name = partition.number === 0 ? "whole disk" : `partition ${partition.number}`;
    const found = mapOf(source, partition);
    if (found instanceof NoMap) {
      const kind = found.filesystem === undefined ? name : `${name}, ${found.filesystem}`;
      notes.push(`${kind}: read whole (${found.message})`);
      continue;
    }
    maps.push(found);
    freeBytes += found.freeBytes;
    notes.push(
      `${name}, ${found.filesystem}: ${formatBytes(found.freeBytes)} of ${formatBytes(found.size)} free`,
    );
  }
  return { notes, freeBytes, ranges: (blockSize) => wholeBlocks(inTurn(maps), blockSize) };
}

function mapOf(source: BlockSource, partition: Partition): FreeMap | NoMap {
  const { start, end, doubt } = partition;
  if (doubt !== undefined) return new NoMap(doubt);
  try {
    const area = new Area(source, start, end - start);
    return mappedFilesystemOf(area) === "ext" ? extMap(area) : xfsMap(area);
  } catch (error) {
    if (error instanceof NoMap) return error;
    throw error;
  }
}

function* inTurn(maps: readonly FreeMap[]): Generator<ByteRange> {
  for (const map of maps) yield* map.ranges();
}
