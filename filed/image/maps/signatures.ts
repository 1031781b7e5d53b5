/**
 * What a partition announces itself as. Used to name things in the report, and to distrust a file system whose place
 * something else claims too: an old ext4 superblock survives much of what later takes its partition over.
 * Places and magics: the manual pages and on-disk documents of each, as libblkid(3) collects them.
 */
import { type Area, NoMap } from "./source.js";

interface Signature {
  readonly name: string;
  readonly at: number;
  readonly magic: Buffer;
}

const text = (name: string, at: number, magic: string): Signature => ({
  name,
  at,
  magic: Buffer.from(magic, "latin1"),
});
const hex = (name: string, at: number, magic: string): Signature => ({
  name,
  at,
  magic: Buffer.from(magic, "hex"),
});

const EXT = "ext";
const XFS = "xfs";

const SIGNATURES: readonly Signature[] = [
  hex(EXT, 1080, "53ef"),
  text(XFS, 0, "XFSB"),
  ...[0, 512, 1024, 1536].map((at) => text("LVM physical volume", at, "LABELONE")),
  ...[4086, 8182, 16374, 65526].flatMap((at) => [
    text("swap", at, "SWAPSPACE2"),
    text("swap", at, "SWAP-SPACE"),
  ]),
  text("LUKS", 0, "LUKS\xba\xbe"),
  text("btrfs", 0x10040, "_BHRfS_M"),
  hex("RAID member", 0, "fc4e2ba9"),
  hex("RAID member", 4096, "fc4e2ba9"),
  text("ntfs", 3, "NTFS    "),
  text("exfat", 3, "EXFAT   "),
  text("BitLocker", 3, "-FVE-FS-"),
  text("fat", 54, "FAT1"),
  text("fat", 82, "FAT32   "),
  hex("bcache", 4120, "c68573f64e1a45ca8265f57f48ba6d81"),
  text("VDO", 0, "dmvdo001"),
  text("Stratis", 516, "!Stra0tis"),
  text("Ceph OSD", 0, "bluestore block device"),
  text("Oracle ASM disk", 32, "ORCLDISK"),
  text("reiserfs", 0x10034, "ReIsEr"),
  text("jfs", 0x8000, "JFS1"),
  hex("f2fs", 1024, "1020f5f2"),
  text("iso9660", 0x8001, "CD001"),
];

/** All but ZFS, whose uberblocks lie between 128 and 256 KiB. */
const HEAD_BYTES = 0x10080;
const ZFS_FROM = 128 * 1024;
const ZFS_MAGICS = [Buffer.from("0cb1ba0000000000", "hex"), Buffer.from("0000000000bab10c", "hex")];
const RAID_MAGICS = [Buffer.from("fc4e2ba9", "hex"), Buffer.from("a92b4efc", "hex")];

function hasAt(area: Area, at: number, magics: readonly Buffer[]): boolean {
  const length = magics[0]!.length;
  if (at < 0 || at + length > area.size) return false;
  const found = area.read(at, length);
  return magics.some((magic) => magic.equals(found));
}

function hasZfs(area: Area): boolean {
  if (area.size < 2 * ZFS_FROM) return false;
  const block = area.read(ZFS_FROM, ZFS_FROM);
  for (let at = 0; at < block.length; at += 1024) {
    if (ZFS_MAGICS.some((magic) => block.compare(magic, 0, 8, at, at + 8) === 0)) return true;
  }
  return false;
}

/** Linux RAID metadata of versions 0.90 and 1.0 lies at the end: what is at the beginning then looks whole. */
function hasRaidAtEnd(area: Area): boolean {
  const old = area.size - (area.size % 65536) - 65536;
  const sectors = Math.floor(area.size / 512) - 16;
  return [old, (sectors - (sectors % 8)) * 512].some((at) => hasAt(area, at, RAID_MAGICS));
}

/** Everything that the area announces, without repetition; `ext` and `xfs` among them. @throws NoMap */
export function signaturesOf(area: Area): string[] {
  const head = area.read(0, Math.min(HEAD_BYTES, area.size));
  const names = new Set<string>();
  for (const { name, at, magic } of SIGNATURES) {
    if (
      at + magic.length <= head.length &&
      head.compare(magic, 0, magic.length, at, at + magic.length) === 0
    ) {
      names.add(name);
    }
  }
  if (hasZfs(area)) names.add("zfs");
  if (hasRaidAtEnd(area)) names.add("RAID member");
  return [...names];
}

/** The one file system with a map that the area holds. @throws NoMap for anything else, and for more than one thing */
export function mappedFilesystemOf(area: Area): typeof EXT | typeof XFS {
  const names = signaturesOf(area);
  const [only] = names;
  if (only === undefined) throw new NoMap("unknown file system");
  if (names.length > 1) throw new NoMap(`looks like ${names.join(" and ")}`);
  if (only !== EXT && only !== XFS) throw new NoMap("no map of its free space", only);
  return only;
}
