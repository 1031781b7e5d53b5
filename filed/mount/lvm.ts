/**
 * Logical volumes inside the disks of a guest, read from LVM's metadata without LVM: nothing is activated on the host,
 * and a volume group that is called like one of the host's, or of another guest, is no trouble. What lies in one piece is
 * mounted where it lies. Source of the format: lvm2, lib/format_text/layout.h and lib/label/label.h.
 */
import { crc32 } from "node:zlib";
import { type Area, NoMap, safeU64 } from "../image/maps/source.js";
import { type LvmSection, parseLvmText } from "./lvm-text.js";

/** A physical volume with the newest metadata that it has. */
export interface PhysicalVolume<T> {
  /** What the caller knows it by. */
  readonly place: T;
  readonly area: Area;
  /** 32 characters. */
  readonly id: string;
  readonly group: string;
  readonly sequence: number;
  readonly metadata: LvmSection;
}

/** A logical volume: a stretch of a physical one, or why it is none. */
export interface LogicalVolume<T> {
  readonly group: string;
  readonly name: string;
  readonly where:
    | { readonly place: T; readonly area: Area; readonly offset: number; readonly size: number }
    | string;
}

const LABEL_BYTES = 512;
const LABEL_SECTORS = 4;
const MAX_AREAS = 8;
const MDA_HEADER_BYTES = 512;
const MDA_MAGIC = " LVM2 x[5A%r0N*>";
/** Usually 1 MiB. */
const MAX_METADATA_BYTES = 16 * 1024 * 1024;
const SECTOR = 512;
const MAX_VOLUMES = 1000;

/** LVM begins its CRC-32 with a number of its own, and does not invert it. */
function lvmCrc(bytes: Buffer): number {
  return ~crc32(bytes, ~0xf597a6cf >>> 0) >>> 0;
}

/** Undefined when there is no physical volume, or one without metadata that can be read. */
export function readPhysicalVolume<T>(area: Area, place: T): PhysicalVolume<T> | undefined {
  try {
    const header = labelled(area);
    if (header === undefined) return undefined;
    const id = header.toString("latin1", 0, 32);
    const found = metadataAreas(header).map(({ offset, size }) => readMetadata(area, offset, size));
    const best = found.filter((one) => one !== undefined).sort((a, b) => b.sequence - a.sequence)[0];
    return best === undefined ? undefined : { place, area, id, ...best };
  } catch (error) {
    if (error instanceof NoMap) return undefined;
    throw error;
  }
}

/** The header of the physical volume behind its label, in one of the first sectors. */
function labelled(area: Area): Buffer | undefined {
  for (let sector = 0; sector < LABEL_SECTORS; sector++) {
    const label = area.read(sector * SECTOR, LABEL_BYTES);
    if (label.toString("latin1", 0, 8) !== "LABELONE" || label.toString("latin1", 24, 32) !== "LVM2 001")
      continue;
    const offset = label.readUInt32LE(20);
    if (lvmCrc(label.subarray(20)) === label.readUInt32LE(16) && offset >= 32 && offset <= 400)
      return label.subarray(offset);
  }
  return undefined;
}

interface Stretch {
  readonly offset: number;
  readonly size: number;
}

/** Behind the list of data areas; both lists end with zeros. */
function metadataAreas(header: Buffer): Stretch[] {
  const lists: Stretch[][] = [[], []];
  let at = 40;
  for (const list of lists) {
    for (; at + 16 <= header.length; at += 16) {
      const stretch = { offset: safeU64(header, at), size: safeU64(header, at + 8) };
      if (stretch.offset === 0) break;
      list.push(stretch);
    }
    at += 16;
  }
  return lists[1]!.slice(0, MAX_AREAS);
}

type Metadata = Pick<PhysicalVolume<unknown>, "group" | "sequence" | "metadata">;

/** The text that is in force; it lies in a ring behind the header of its area. */
function readMetadata(area: Area, start: number, areaBytes: number): Metadata | undefined {
  const header = area.read(start, MDA_HEADER_BYTES);
  const isGood =
    header.toString("latin1", 4, 20) === MDA_MAGIC && lvmCrc(header.subarray(4)) === header.readUInt32LE(0);
  if (!isGood) return undefined;
  const [offset, size, checksum] = [safeU64(header, 40), safeU64(header, 48), header.readUInt32LE(56)];
  const isPossible = offset >= MDA_HEADER_BYTES && offset < areaBytes && size <= areaBytes - MDA_HEADER_BYTES;
  if (!isPossible || size === 0 || size > MAX_METADATA_BYTES) return undefined;
  const first = Math.min(size, areaBytes - offset);
  const rest = area.read(start + MDA_HEADER_BYTES, size - first);
  const text = Buffer.concat([area.read(start + offset, first), rest]);
  if (lvmCrc(text) !== checksum) return undefined;
  const [group, metadata] = [...(parseLvmText(text.toString("latin1"))?.sections ?? [])][0] ?? [];
  const sequence = metadata === undefined ? undefined : numberIn(metadata, "seqno");
  if (group === undefined || metadata === undefined || sequence === undefined) return undefined;
  return { group, sequence, metadata };
}

/** The volumes of all groups that the physical volumes belong to, by group and name. */
export function logicalVolumes<T>(physical: readonly PhysicalVolume<T>[]): LogicalVolume<T>[] {
  const newest = new Map<string, PhysicalVolume<T>>();
  for (const one of physical) {
    const id = textIn(one.metadata, "id") ?? one.group;
    const other = newest.get(id);
    if (other === undefined || other.sequence < one.sequence) newest.set(id, one);
  }
  const found = [...newest.values()].flatMap(({ group, metadata }) =>
    volumesOfGroup(group, metadata, physical),
  );
  return found.slice(0, MAX_VOLUMES);
}

function volumesOfGroup<T>(
  group: string,
  metadata: LvmSection,
  physical: readonly PhysicalVolume<T>[],
): LogicalVolume<T>[] {
  const volumes = [...(metadata.sections.get("logical_volumes")?.sections ?? [])];
  return volumes
    .filter(([, volume]) => listIn(volume, "status").includes("VISIBLE"))
    .map(([name, volume]) => ({ group, name, where: placeOf(volume, metadata, physical) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Piece<T> {
  readonly on: PhysicalVolume<T>;
  /** Bytes of the physical volume. */
  readonly offset: number;
  readonly size: number;
}

function placeOf<T>(
  volume: LvmSection,
  metadata: LvmSection,
  physical: readonly PhysicalVolume<T>[],
): LogicalVolume<T>["where"] {
  const segments = [...volume.sections.values()];
  segments.sort((a, b) => (numberIn(a, "start_extent") ?? 0) - (numberIn(b, "start_extent") ?? 0));
  let whole: Piece<T> | undefined;
  for (const segment of segments) {
    const piece = pieceOf(segment, metadata, physical);
    if (typeof piece === "string") return piece;
    if (whole === undefined) whole = piece;
    else if (piece.on === whole.on && piece.offset === whole.offset + whole.size)
      whole = { ...whole, size: whole.size + piece.size };
    else return "LVM logical volume in several pieces";
  }
  if (whole === undefined) return "LVM logical volume without a place";
  const { on, offset, size } = whole;
  if (offset + size > on.area.size) return "LVM logical volume that reaches beyond its disk";
  return { place: on.place, area: on.area.part(offset, size), offset, size };
}

/** One stripe on one physical volume is what LVM calls linear. */
function pieceOf<T>(
  segment: LvmSection,
  metadata: LvmSection,
  physical: readonly PhysicalVolume<T>[],
): Piece<T> | string {
  const type = textIn(segment, "type");
  const [name, start, ...more] = listIn(segment, "stripes");
  if ((type !== "striped" && type !== "linear") || more.length > 0)
    return `LVM logical volume of type ${/^[a-z0-9-]{1,20}$/.test(type ?? "") ? type : "unknown"}`;
  const described =
    typeof name === "string" ? metadata.sections.get("physical_volumes")?.sections.get(name) : undefined;
  const id = described === undefined ? undefined : textIn(described, "id")?.replaceAll("-", "");
  const on = physical.find((one) => one.id === id);
  if (described === undefined || on === undefined) return "LVM logical volume on a disk that is not there";
  const [extent, first] = [numberIn(metadata, "extent_size"), numberIn(described, "pe_start")];
  const count = numberIn(segment, "extent_count");
  if (extent === undefined || first === undefined || count === undefined || typeof start !== "number")
    return "damaged LVM metadata";
  const [offset, size] = [(first + start * extent) * SECTOR, count * extent * SECTOR];
  const isPossible = start >= 0 && first >= 0 && size > 0 && Number.isSafeInteger(offset + size);
  return isPossible ? { on, offset, size } : "damaged LVM metadata";
}

function numberIn({ values }: LvmSection, name: string): number | undefined {
  const value = values.get(name);
  return typeof value === "number" ? value : undefined;
}

function textIn({ values }: LvmSection, name: string): string | undefined {
  const value = values.get(name);
  return typeof value === "string" ? value : undefined;
}

function listIn({ values }: LvmSection, name: string): readonly unknown[] {
  const value = values.get(name);
  return Array.isArray(value) ? value : [];
}
