/**
 * Free space of xfs by its allocation groups' trees. All groups are checked before the first range is given: one that
 * is not in order says that the file system wants xfs_repair, and then no other group is believed either.
 */
import type { FreeMap } from "./free-map.js";
import type { ByteRange } from "./ranges.js";
import { type Area, NoMap } from "./source.js";
import { type Extent, XfsGroup } from "./xfs-groups.js";
import { checkXfsLog } from "./xfs-log.js";
import { readXfsSuper, type XfsSuper } from "./xfs-super.js";

/** @throws NoMap when the file system's word cannot be taken */
export function xfsMap(area: Area): FreeMap {
  try {
    const super_ = readXfsSuper(area);
    checkXfsLog(area, super_);
    let free = 0;
    for (let number = 0; number < super_.groups; number++) {
      free += checkedFree(new XfsGroup(area, super_, number), super_.version === 4);
    }
    const ranges = () => freeRanges(area, super_);
    const { blocks, blockSize } = super_;
    return { filesystem: "xfs", size: blocks * blockSize, freeBytes: free * blockSize, ranges };
  } catch (error) {
    throw error instanceof NoMap ? new NoMap(error.message, "xfs") : error;
  }
}

/** A sum that does not depend on the order: equal for equal sets, and hardly for others. */
class SetSum {
  private total = 0;
  private mixed = 0;

  add([start, length]: Extent): void {
    this.total += length;
    const mix = Math.imul(start ^ (start >>> 15), 0x2c1b3c6d) ^ Math.imul(length + 0x165667b1, 0x297a2d39);
    this.mixed = (this.mixed + Math.imul(mix ^ (mix >>> 12), 0x9e3779b1)) | 0;
  }

  get blocks(): number {
    return this.total;
  }

  equals(other: SetSum): boolean {
    return this.total === other.total && this.mixed === other.mixed;
  }
}

/**
 * Free blocks of a group, added up and compared with its header. Version 4 has no checksums, so there the tree by size
 * must hold the same extents as the one by block.
 */
function checkedFree(group: XfsGroup, hasNoChecksums: boolean): number {
  const byBlock = new SetSum();
  for (const extent of group.freeExtents()) byBlock.add(extent);
  if (byBlock.blocks !== group.free) throw new NoMap("damaged: free blocks do not add up");
  if (hasNoChecksums) {
    const bySize = new SetSum();
    for (const extent of group.freeExtentsBySize()) {
      bySize.add(extent);
      if (bySize.blocks > byBlock.blocks) break;
    }
    if (!bySize.equals(byBlock)) throw new NoMap("damaged: its two lists of free blocks differ");
  }
  return byBlock.blocks;
}

function* freeRanges(area: Area, super_: XfsSuper): Generator<ByteRange> {
  const { blockSize } = super_;
  try {
    for (let number = 0; number < super_.groups; number++) {
      const group = new XfsGroup(area, super_, number);
      for (const [first, length] of group.freeExtents()) {
        const start = area.start + group.place(first);
        yield { start, end: start + length * blockSize };
      }
    }
  } catch (error) {
    if (!(error instanceof NoMap)) throw error;
  }
}
