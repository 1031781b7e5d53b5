/**
 * The superblock of xfs, versions 4 and 5. Source: "XFS Algorithms & Data Structures" (xfs-documentation),
 * chapters "Superblocks" and "Self Describing Metadata".
 */
import { xfsCrcHolds } from "./checksums.js";
import { type Area, NoMap, safeU64 } from "./source.js";

const CRC_AT = 224;

/** Of `sb_features_ro_compat`: finobt, rmapbt, reflink, inobtcounts. None changes the by-block tree. */
const RO_KNOWN = 0xf;
/** Of `sb_features_incompat`. */
const INCOMPAT = { metaUuid: 0x4, needsRepair: 0x10 } as const;
/** ftype, spinodes, metauuid, bigtime, nrext64, exchrange, parent: about inodes and directories only. */
const INCOMPAT_KNOWN = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
/** Extended attributes may be logged: says something of the log's content only. */
const LOG_INCOMPAT_KNOWN = 0x1;

/** mkfs.xfs makes no smaller allocation group; it keeps the work in proportion to the disk. */
const MIN_GROUP_BYTES = 16 * 1024 * 1024;

export interface XfsSuper {
  readonly version: 4 | 5;
  readonly blockSize: number;
  readonly sectorSize: number;
  readonly blocks: number;
  /** Blocks of every allocation group but the last. */
  readonly groupBlocks: number;
  readonly groups: number;
  /** What headers and tree blocks of version 5 carry. */
  readonly blockUuid: Buffer;
  /** What records of the log carry. */
  readonly uuid: Buffer;
  /** Where the log lies, in bytes of the area. */
  readonly logStart: number;
  /** In bytes. */
  readonly logSize: number;
}

/** @throws NoMap when the file system is damaged or of a kind not known here */
export function readXfsSuper(area: Area): XfsSuper {
  const head = area.read(0, 512);
  const sectorSize = head.readUInt16BE(102);
  if (![512, 1024, 2048, 4096, 8192, 16384, 32768].includes(sectorSize)) {
    throw new NoMap("damaged: impossible superblock");
  }
  const block = area.read(0, sectorSize);
  const version = block.readUInt16BE(100) & 0xf;
  if (version !== 4 && version !== 5) throw new NoMap("of a version that is not known here");
  if (version === 5) checkFeatures(block);
  if (block[126] !== 0) throw new NoMap("not finished by mkfs.xfs");
  const found = geometryOf(block, version, sectorSize);
  checkGeometry(found, area);
  return found;
}

function checkFeatures(block: Buffer): void {
  if (!xfsCrcHolds(block, CRC_AT)) throw new NoMap("damaged: checksum of the superblock");
  const incompat = block.readUInt32BE(216);
  if (incompat & INCOMPAT.needsRepair) throw new NoMap("has errors, and wants xfs_repair");
  const isUnknown =
    (block.readUInt32BE(212) & ~RO_KNOWN) !== 0 ||
    (incompat & ~INCOMPAT_KNOWN) !== 0 ||
    (block.readUInt32BE(220) & ~LOG_INCOMPAT_KNOWN) !== 0;
  if (isUnknown) throw new NoMap("has features that are not known here");
}

function geometryOf(block: Buffer, version: 4 | 5, sectorSize: number): XfsSuper {
  const blockSize = block.readUInt32BE(4);
  const groupBlocks = block.readUInt32BE(84);
  const uuid = Buffer.from(block.subarray(32, 48));
  const hasMetaUuid = version === 5 && (block.readUInt32BE(216) & INCOMPAT.metaUuid) !== 0;
  const logAt = safeU64(block, 48, true);
  if (logAt === 0) throw new NoMap("its log is on another device");
  // A block number has the group in its high bits and the block within the group in the low ones.
  const perGroup = 2 ** block[124]!;
  const logGroup = Math.floor(logAt / perGroup);
  if (perGroup < groupBlocks || perGroup >= 2 * groupBlocks)
    throw new NoMap("damaged: impossible superblock");
  return {
    version,
    blockSize,
    sectorSize,
    blocks: safeU64(block, 8, true),
    groupBlocks,
    groups: block.readUInt32BE(88),
    blockUuid: hasMetaUuid ? Buffer.from(block.subarray(248, 264)) : uuid,
    uuid,
    logStart: (logGroup * groupBlocks + (logAt % perGroup)) * blockSize,
    logSize: block.readUInt32BE(96) * blockSize,
  };
}

function checkGeometry(found: XfsSuper, area: Area): void {
  const { blockSize, sectorSize, blocks, groupBlocks, groups } = found;
  if (blocks * blockSize > area.size) throw new NoMap("larger than its partition");
  const isPossible =
    blockSize >= 512 &&
    blockSize <= 65536 &&
    Number.isInteger(Math.log2(blockSize)) &&
    sectorSize <= blockSize &&
    groupBlocks * blockSize >= MIN_GROUP_BYTES &&
    groups >= 1 &&
    blocks <= groups * groupBlocks &&
    blocks > (groups - 1) * groupBlocks &&
    found.logSize > 0 &&
    found.logStart + found.logSize <= blocks * blockSize;
  if (!isPossible) throw new NoMap("damaged: impossible superblock");
}
