/**
 * The superblock of ext2, ext3 and ext4, and whether the file system's own word on what is free can be taken.
 * Source: Linux, Documentation/filesystems/ext4 ("Super Block", "Block and Inode Allocation Policy", "Bigalloc").
 */
import { rawCrc32c } from "./checksums.js";
import { type Area, NoMap } from "./source.js";

const SUPER_AT = 1024;
const SUPER_BYTES = 1024;

const STATE_VALID = 1;
const STATE_ERRORS = 2;
const STATE_ORPHANS = 4;

/** Of `s_feature_compat`. */
const COMPAT = { journal: 0x4, sparseSuper2: 0x200 } as const;
/** Exclusion bitmaps of a snapshot patch that was never merged; lazy groups without checksums. */
const COMPAT_REFUSED = 0x40 | 0x80 | 0x100;

/** Of `s_feature_incompat`. */
const INCOMPAT = {
  needsRecovery: 0x4,
  journalDevice: 0x8,
  metaBg: 0x10,
  bit64: 0x80,
  checksumSeed: 0x2000,
} as const;
/** All that Linux knows and that leaves the meaning of the bitmaps alone. */
const INCOMPAT_KNOWN =
  0x2 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x30000;
const INCOMPAT_EXT4 = INCOMPAT_KNOWN & ~0x12;

/** Of `s_feature_ro_compat`. */
const RO = { sparseSuper: 0x1, descriptorChecksum: 0x10, bigalloc: 0x200, metadataChecksum: 0x400 } as const;
const RO_KNOWN = 0x7f | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000 | 0x10000;
const RO_EXT4 = RO_KNOWN & ~0x7;

/** mke2fs makes none smaller. It keeps the work in proportion: one bitmap for at least 256 KiB of disk. */
const MIN_CLUSTERS_PER_GROUP = 256;

export interface ExtSuper {
  /** ext2, ext3 or ext4, by its features. */
  readonly name: string;
  readonly blockSize: number;
  readonly blocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  /** Blocks that one bit stands for; 1 without bigalloc. */
  readonly clusterBlocks: number;
  readonly clustersPerGroup: number;
  readonly groups: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  readonly reservedDescriptorBlocks: number;
  /** Descriptor blocks from this one on lie in their own groups; undefined without meta_bg. */
  readonly firstMetaGroup: number | undefined;
  readonly uuid: Buffer;
  readonly checksums: "none" | "crc16" | "crc32c";
  readonly checksumSeed: number;
  /** Does a group begin with a copy of the superblock? */
  readonly hasSuperCopy: (group: number) => boolean;
}

/** @throws NoMap when the file system is damaged, not cleanly left, or of a kind not known here */
export function readExtSuper(area: Area): ExtSuper {
  const block = area.read(SUPER_AT, SUPER_BYTES);
  const hasRevision = block.readUInt32LE(0x4c) !== 0;
  const feature = (at: number) => (hasRevision ? block.readUInt32LE(at) : 0);
  const features = { compat: feature(0x5c), incompat: feature(0x60), ro: feature(0x64) };
  const name = nameOf(features);
  try {
    checkTrust(block, features);
    return geometryOf(block, area, name, features);
  } catch (error) {
    throw error instanceof NoMap ? new NoMap(error.message, name) : error;
  }
}

interface Features {
  readonly compat: number;
  readonly incompat: number;
  readonly ro: number;
}

function nameOf({ compat, incompat, ro }: Features): string {
  if ((incompat & INCOMPAT_EXT4) !== 0 || (ro & RO_EXT4) !== 0) return "ext4";
  return compat & COMPAT.journal ? "ext3" : "ext2";
}

function checkTrust(block: Buffer, { compat, incompat, ro }: Features): void {
  if (ro & RO.metadataChecksum) {
    const isRight = block[0x175] === 1 && rawCrc32c(~0, block, 0, 0x3fc) === block.readUInt32LE(0x3fc);
    if (!isRight) throw new NoMap("damaged: checksum of the superblock");
  }
  if (incompat & INCOMPAT.journalDevice) throw new NoMap("a journal of another file system");
  if (incompat & INCOMPAT.needsRecovery)
    throw new NoMap("in use when it was copied (its journal is not empty)");
  const state = block.readUInt16LE(0x3a);
  if (!(state & STATE_VALID)) throw new NoMap("in use when it was copied (not marked clean)");
  if (state & (STATE_ERRORS | STATE_ORPHANS)) throw new NoMap("has errors, and wants e2fsck");
  const isUnknown =
    (incompat & ~INCOMPAT_KNOWN) !== 0 || (ro & ~RO_KNOWN) !== 0 || (compat & COMPAT_REFUSED) !== 0;
  if (isUnknown) throw new NoMap("has features that are not known here");
}

function geometryOf(block: Buffer, area: Area, name: string, { compat, incompat, ro }: Features): ExtSuper {
  const u32 = (at: number) => block.readUInt32LE(at);
  const blockSize = shifted(1024, u32(0x18));
  const clusterSize = ro & RO.bigalloc ? shifted(1024, u32(0x1c), 20) : blockSize;
  const firstDataBlock = u32(0x14);
  const is64 = (incompat & INCOMPAT.bit64) !== 0;
  const blocks = u32(0x4) + (is64 ? u32(0x150) * 2 ** 32 : 0);
  const blocksPerGroup = u32(0x20);
  const clustersPerGroup = ro & RO.bigalloc ? u32(0x24) : blocksPerGroup;
  const inodeBytes = u32(0x4c) === 0 ? 128 : block.readUInt16LE(0x58);
  const uuid = Buffer.from(block.subarray(0x68, 0x78));
  const found: ExtSuper = {
    name,
    blockSize,
    blocks,
    firstDataBlock,
    blocksPerGroup,
    clusterBlocks: clusterSize / blockSize,
    clustersPerGroup,
    groups: Math.ceil((blocks - firstDataBlock) / blocksPerGroup),
    inodeTableBlocks: Math.ceil((u32(0x28) * inodeBytes) / blockSize),
    descriptorBytes: is64 ? block.readUInt16LE(0xfe) : 32,
    reservedDescriptorBlocks: block.readUInt16LE(0xce),
    firstMetaGroup: incompat & INCOMPAT.metaBg ? u32(0x104) : undefined,
    uuid,
    checksums: ro & RO.metadataChecksum ? "crc32c" : ro & RO.descriptorChecksum ? "crc16" : "none",
    checksumSeed: incompat & INCOMPAT.checksumSeed ? u32(0x270) : rawCrc32c(~0, uuid),
    hasSuperCopy: superCopies(block, compat, ro),
  };
  checkGeometry(found, area);
  return found;
}

function shifted(base: number, shift: number, limit = 6): number {
  if (shift > limit) throw new NoMap("damaged: impossible block size");
  return base * 2 ** shift;
}

function checkGeometry(found: ExtSuper, area: Area): void {
  const { blockSize, blocks, clustersPerGroup, clusterBlocks, descriptorBytes } = found;
  if (blocks * blockSize > area.size) throw new NoMap("larger than its partition");
  const isPossible =
    // Blocks of 1 KiB leave block 0 to the boot loader; in clusters they do not.
    found.firstDataBlock === (blockSize === 1024 && clusterBlocks === 1 ? 1 : 0) &&
    blocks > found.firstDataBlock &&
    Number.isInteger(clusterBlocks) &&
    found.blocksPerGroup === clustersPerGroup * clusterBlocks &&
    clustersPerGroup >= MIN_CLUSTERS_PER_GROUP &&
    clustersPerGroup <= 8 * blockSize &&
    clustersPerGroup % 8 === 0 &&
    descriptorBytes >= 32 &&
    descriptorBytes <= 1024 &&
    Number.isInteger(Math.log2(descriptorBytes));
  if (!isPossible) throw new NoMap("damaged: impossible superblock");
}

function superCopies(block: Buffer, compat: number, ro: number): (group: number) => boolean {
  if (compat & COMPAT.sparseSuper2) {
    const copies = [0, block.readUInt32LE(0x24c), block.readUInt32LE(0x250)];
    return (group) => copies.includes(group);
  }
  if (!(ro & RO.sparseSuper)) return () => true;
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** A block number in two halves, checked to lie in the file system. @throws NoMap */
export function blockNumber(found: ExtSuper, low: number, high: number): number {
  const block = low + high * 2 ** 32;
  if (block < found.firstDataBlock || block >= found.blocks)
    throw new NoMap("damaged: something lies outside of it");
  return block;
}
