/**
 * Block groups of ext2, ext3 and ext4: their descriptors, and the bitmap that says which of their blocks are used,
 * checked by everything that the disk has to check it with. Source: Linux, Documentation/filesystems/ext4
 * ("Block Group Descriptors", "Meta Block Groups", "Flexible Block Groups", "Lazy Block Group Initialization",
 * "Checksums").
 */
import { areSet, countClear, setBits } from "./bitmap.js";
import { rawCrc16, rawCrc32c } from "./checksums.js";
import { blockNumber, type ExtSuper } from "./ext-super.js";
import { type Area, NoMap } from "./source.js";

const FLAG_BLOCKS_UNINITIALIZED = 2;

/** Bits of a group, as [first, one behind the last]. */
type Bits = readonly [from: number, to: number];

interface Descriptor {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** Clusters. */
  readonly free: number;
  readonly isUninitialized: boolean;
  readonly bitmapChecksum: number;
}

/** Reads one group after the other; the bitmap of a group is overwritten by that of the next. */
export class ExtGroups {
  readonly bitmap: Buffer;
  private readonly block: Buffer;
  private blockIndex = -1;
  private readonly perBlock: number;

  constructor(
    private readonly area: Area,
    private readonly super_: ExtSuper,
  ) {
    this.bitmap = Buffer.alloc(super_.clustersPerGroup / 8);
    this.block = Buffer.alloc(super_.blockSize);
    this.perBlock = super_.blockSize / super_.descriptorBytes;
  }

  /** First block of a group. */
  firstBlock(group: number): number {
    return this.super_.firstDataBlock + group * this.super_.blocksPerGroup;
  }

  /** How many bits of the group's bitmap stand for clusters. */
  bits(group: number): number {
    const { blocks, blocksPerGroup, clusterBlocks } = this.super_;
    return Math.ceil(Math.min(blocksPerGroup, blocks - this.firstBlock(group)) / clusterBlocks);
  }

  /** Puts the group's bitmap into `bitmap`; returns the number of its free clusters. @throws NoMap */
  load(group: number): number {
    const descriptor = this.descriptor(group);
    const metadata = [this.copies(group), ...this.ownTables(group, descriptor)];
    const bits = this.bits(group);
    if (descriptor.isUninitialized) {
      // Not on disk: nothing but the group's own tables is used, as the kernel sets it up on the first allocation.
      this.bitmap.fill(0);
      for (const [from, to] of metadata) setBits(this.bitmap, from, Math.min(to, bits));
    } else {
      this.area.readInto(this.bitmap, descriptor.blockBitmap * this.super_.blockSize);
      this.checkBitmap(descriptor);
      if (!metadata.every(([from, to]) => areSet(this.bitmap, from, Math.min(to, bits)))) {
        throw new NoMap("damaged: its own tables count as free");
      }
    }
    const free = countClear(this.bitmap, bits);
    if (free !== descriptor.free) throw new NoMap("damaged: free blocks do not add up");
    return free;
  }

  private checkBitmap({ bitmapChecksum }: Descriptor): void {
    const { checksums, checksumSeed, descriptorBytes } = this.super_;
    if (checksums !== "crc32c") return;
    const mask = descriptorBytes >= 64 ? 0xffffffff : 0xffff;
    const found = (rawCrc32c(checksumSeed, this.bitmap) & mask) >>> 0;
    if (found !== bitmapChecksum) throw new NoMap("damaged: checksum of a bitmap");
  }

  private descriptor(group: number): Descriptor {
    const { descriptorBytes, checksums } = this.super_;
    const index = Math.floor(group / this.perBlock);
    if (index !== this.blockIndex) {
      this.blockIndex = -1;
      this.area.readInto(this.block, this.descriptorBlock(index) * this.super_.blockSize);
      this.blockIndex = index;
    }
    const at = (group % this.perBlock) * descriptorBytes;
    const raw = this.block.subarray(at, at + descriptorBytes);
    if (checksums !== "none" && this.descriptorChecksum(group, raw) !== raw.readUInt16LE(0x1e)) {
      throw new NoMap("damaged: checksum of a group");
    }
    const isLong = descriptorBytes >= 64;
    const place = (low: number) =>
      blockNumber(this.super_, raw.readUInt32LE(low), isLong ? raw.readUInt32LE(low + 0x20) : 0);
    return {
      blockBitmap: place(0),
      inodeBitmap: place(4),
      inodeTable: place(8),
      free: raw.readUInt16LE(0xc) + (isLong ? raw.readUInt16LE(0x2c) * 65536 : 0),
      isUninitialized: checksums !== "none" && (raw.readUInt16LE(0x12) & FLAG_BLOCKS_UNINITIALIZED) !== 0,
      bitmapChecksum: raw.readUInt16LE(0x18) + (isLong ? raw.readUInt16LE(0x38) * 65536 : 0),
    };
  }

  /** Over the group's number and its descriptor without the checksum itself (as zeros, or left out by the older one). */
  private descriptorChecksum(group: number, raw: Buffer): number {
    const { checksums, checksumSeed, uuid } = this.super_;
    const number = Buffer.alloc(4);
    number.writeUInt32LE(group);
    if (checksums === "crc32c") {
      const head = rawCrc32c(rawCrc32c(checksumSeed, number), raw, 0, 0x1e);
      return rawCrc32c(rawCrc32c(head, Buffer.alloc(2)), raw, 0x20) & 0xffff;
    }
    const head = rawCrc16(rawCrc16(rawCrc16(0xffff, uuid), number), raw, 0, 0x1e);
    return rawCrc16(head, raw, 0x20);
  }

  /** Where the block of descriptors with this number is: behind the superblock, or in a meta group of its own. */
  private descriptorBlock(index: number): number {
    const { blockSize, firstMetaGroup, firstDataBlock } = this.super_;
    if (firstMetaGroup === undefined || index < firstMetaGroup)
      return (blockSize === 1024 ? 1 : 0) + 1 + index;
    const group = index * this.perBlock;
    // With blocks of 1 KiB the boot block comes first where block 0 belongs to group 0 (bigalloc).
    const boot = blockSize === 1024 && group === 0 && firstDataBlock === 0 ? 1 : 0;
    return this.firstBlock(group) + (this.super_.hasSuperCopy(group) ? 1 : 0) + boot;
  }

  /** Copies of the superblock and of descriptors at the beginning of the group. */
  private copies(group: number): Bits {
    const { firstMetaGroup, reservedDescriptorBlocks, groups } = this.super_;
    const copy = this.super_.hasSuperCopy(group) ? 1 : 0;
    const metaGroup = Math.floor(group / this.perBlock);
    if (firstMetaGroup !== undefined && metaGroup >= firstMetaGroup) {
      const place = group % this.perBlock;
      const isHolder = place === 0 || place === 1 || place === this.perBlock - 1;
      return [0, this.clusters(copy + (isHolder ? 1 : 0))];
    }
    const descriptorBlocks = firstMetaGroup ?? Math.ceil(groups / this.perBlock);
    return [0, copy === 0 ? 0 : this.clusters(1 + descriptorBlocks + reservedDescriptorBlocks)];
  }

  /** The group's bitmaps and inode table, as far as they lie in it: with flex_bg they may be anywhere. */
  private ownTables(group: number, descriptor: Descriptor): Bits[] {
    const { clusterBlocks, inodeTableBlocks } = this.super_;
    const first = this.firstBlock(group);
    const blocks = this.bits(group) * clusterBlocks;
    const places: Bits[] = [
      [descriptor.blockBitmap, descriptor.blockBitmap + 1],
      [descriptor.inodeBitmap, descriptor.inodeBitmap + 1],
      [descriptor.inodeTable, descriptor.inodeTable + inodeTableBlocks],
    ];
    return places
      .map(([from, to]): Bits => [Math.max(from - first, 0), Math.min(to - first, blocks)])
      .filter(([from, to]) => to > from)
      .map(([from, to]): Bits => [Math.floor(from / clusterBlocks), this.clusters(to)]);
  }

  private clusters(blocks: number): number {
    return Math.ceil(blocks / this.super_.clusterBlocks);
  }
}
