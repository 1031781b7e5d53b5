/**
 * Allocation groups of xfs: the header (AGF) and the B+trees that hold their free extents, one by block and one by size.
 * Source: "XFS Algorithms & Data Structures", chapters "Allocation Groups" and "AG Free Space B+trees".
 * Blocks on a group's free list (AGFL) are in neither tree: they belong to the trees' own growth and count as used here.
 */
import { xfsCrcHolds } from "./checksums.js";
import { type Area, NoMap, safeU64 } from "./source.js";
import type { XfsSuper } from "./xfs-super.js";

/** Blocks of one group: first, and how many. */
export type Extent = readonly [start: number, length: number];

type Tree = "byBlock" | "bySize";

const AGF_MAGIC = 0x58414746;
const AGF_CRC_AT = 216;
const MAGICS = {
  4: { byBlock: 0x41425442, bySize: 0x41425443 },
  5: { byBlock: 0x41423342, bySize: 0x41423343 },
} as const;
const BLOCK_CRC_AT = 52;
const MAX_LEVELS = 9;

export class XfsGroup {
  /** Blocks of the group. */
  readonly length: number;
  private readonly header: Buffer;

  /** @throws NoMap when the header is not in order */
  constructor(
    private readonly area: Area,
    private readonly super_: XfsSuper,
    readonly number: number,
  ) {
    const { groupBlocks, groups, blocks, sectorSize } = super_;
    this.length = number === groups - 1 ? blocks - number * groupBlocks : groupBlocks;
    this.header = area.read(this.place(0) + sectorSize, sectorSize);
    const header = this.header;
    const isRight =
      header.readUInt32BE(0) === AGF_MAGIC &&
      header.readUInt32BE(8) === number &&
      header.readUInt32BE(12) === this.length &&
      (super_.version === 4 ||
        (xfsCrcHolds(header, AGF_CRC_AT) && header.compare(super_.blockUuid, 0, 16, 64, 80) === 0));
    if (!isRight) throw new NoMap("damaged: header of an allocation group");
  }

  /** What the header says is free, in blocks. */
  get free(): number {
    return this.header.readUInt32BE(52);
  }

  /** Where a block of the group is, in bytes of the area. */
  place(block: number): number {
    return (this.number * this.super_.groupBlocks + block) * this.super_.blockSize;
  }

  /** The free extents, ascending. @throws NoMap while it is read, when they are not in order */
  *freeExtents(): Generator<Extent> {
    const headers = Math.ceil((4 * this.super_.sectorSize) / this.super_.blockSize);
    let end = headers - 1;
    for (const extent of this.walk("byBlock")) {
      const [start, length] = extent;
      // Two that touch would have been one.
      if (start <= end || length === 0 || start + length > this.length)
        throw new NoMap("damaged: free space");
      end = start + length;
      yield extent;
    }
  }

  /** The same extents, by size. @throws NoMap as above */
  *freeExtentsBySize(): Generator<Extent> {
    let last: Extent = [0, 0];
    for (const extent of this.walk("bySize")) {
      const [start, length] = extent;
      const isBehind = length > last[1] || (length === last[1] && start > last[0]);
      if (!isBehind || start + length > this.length) throw new NoMap("damaged: free space");
      last = extent;
      yield extent;
    }
  }

  private walk(tree: Tree): Generator<Extent> {
    const index = tree === "byBlock" ? 0 : 4;
    const levels = this.header.readUInt32BE(28 + index);
    if (levels < 1 || levels > MAX_LEVELS) throw new NoMap("damaged: free space");
    return this.descend(tree, this.header.readUInt32BE(16 + index), levels - 1, true);
  }

  /** The order of what comes out is checked by the callers: it also ends trees that visit a block twice. */
  private *descend(tree: Tree, block: number, level: number, isRoot: boolean): Generator<Extent> {
    const { version, blockSize } = this.super_;
    const content = this.treeBlock(tree, block, level);
    const count = content.readUInt16BE(6);
    const from = version === 5 ? 56 : 16;
    const limit = Math.floor((blockSize - from) / (level === 0 ? 8 : 12));
    if (count > limit || (count === 0 && !(isRoot && level === 0))) throw new NoMap("damaged: free space");
    for (let index = 0; index < count; index++) {
      if (level === 0) {
        const at = from + index * 8;
        yield [content.readUInt32BE(at), content.readUInt32BE(at + 4)];
      } else {
        // Behind the place for `limit` keys of 8 bytes are the pointers.
        const child = content.readUInt32BE(from + limit * 8 + index * 4);
        yield* this.descend(tree, child, level - 1, false);
      }
    }
  }

  private treeBlock(tree: Tree, block: number, level: number): Buffer {
    const { version, blockSize, blockUuid } = this.super_;
    if (block === 0 || block >= this.length) throw new NoMap("damaged: free space");
    const place = this.place(block);
    const content = this.area.read(place, blockSize);
    const isRight =
      content.readUInt32BE(0) === MAGICS[version][tree] &&
      content.readUInt16BE(4) === level &&
      (version === 4 ||
        (xfsCrcHolds(content, BLOCK_CRC_AT) &&
          safeU64(content, 16, true) * 512 === place &&
          content.readUInt32BE(48) === this.number &&
          content.compare(blockUuid, 0, 16, 32, 48) === 0));
    if (!isRight) throw new NoMap("damaged: free space");
    return content;
  }
}
