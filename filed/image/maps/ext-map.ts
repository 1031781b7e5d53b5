/**
 * Free space of ext2, ext3 and ext4 by their block bitmaps. All groups are checked before the first range is given:
 * one that is not in order says that the file system wants e2fsck, and then no other group is believed either.
 */
import { areSet, clearRuns } from "./bitmap.js";
import { ExtGroups } from "./ext-groups.js";
import { type ExtSuper, readExtSuper } from "./ext-super.js";
import type { FreeMap } from "./free-map.js";
import type { ByteRange } from "./ranges.js";
import { type Area, NoMap } from "./source.js";

/** @throws NoMap when the file system's word cannot be taken */
export function extMap(area: Area): FreeMap {
  const super_ = readExtSuper(area);
  try {
    const groups = new ExtGroups(area, super_);
    let free = 0;
    for (let group = 0; group < super_.groups; group++) free += groups.load(group);
    const freeBytes = free * super_.clusterBlocks * super_.blockSize - overhang(groups, super_);
    const ranges = () => freeRanges(area, super_);
    return { filesystem: super_.name, size: super_.blocks * super_.blockSize, freeBytes, ranges };
  } catch (error) {
    throw error instanceof NoMap ? new NoMap(error.message, super_.name) : error;
  }
}

function* freeRanges(area: Area, super_: ExtSuper): Generator<ByteRange> {
  const groups = new ExtGroups(area, super_);
  for (let group = 0; group < super_.groups; group++) {
    try {
      groups.load(group);
    } catch (error) {
      if (error instanceof NoMap) return;
      throw error;
    }
    yield* rangesOf(area, super_, groups, group);
  }
}

/** Bytes by which a free last cluster reaches beyond the end, with the last group loaded. */
function overhang(groups: ExtGroups, { groups: count, blocks, clusterBlocks, blockSize }: ExtSuper): number {
  const bits = groups.bits(count - 1);
  if (areSet(groups.bitmap, bits - 1, bits)) return 0;
  return (groups.firstBlock(count - 1) + bits * clusterBlocks - blocks) * blockSize;
}

/** Of the group that was loaded last. The last cluster may reach beyond the end. */
function* rangesOf(
  area: Area,
  { blockSize, blocks, clusterBlocks }: ExtSuper,
  groups: ExtGroups,
  group: number,
): Generator<ByteRange> {
  const first = groups.firstBlock(group);
  for (const [from, to] of clearRuns(groups.bitmap, groups.bits(group))) {
    const last = Math.min(first + to * clusterBlocks, blocks);
    yield {
      start: area.start + (first + from * clusterBlocks) * blockSize,
      end: area.start + last * blockSize,
    };
  }
}
