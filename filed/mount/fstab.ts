/** A guest's fstab(5), as far as it says where file systems of its disks go. Whatever a guest writes is taken as text. */
import { isUtf8 } from "node:buffer";

export interface FstabEntry {
  readonly line: number;
  /** `UUID=…`, `/dev/vda1`; latin1 carrier. */
  readonly device: string;
  /** Components of the mount point; none for the root. */
  readonly place: readonly string[];
  /** The guest starts without it (`nofail`, `noauto`), or it is of a type that is never mounted here. */
  readonly isOptional: boolean;
}

export interface Fstab {
  /** In the order of the file. */
  readonly entries: readonly FstabEntry[];
  /** Devices with swap on them, as written. */
  readonly swaps: readonly string[];
  /** `line 7: …`: entries that are left out although they may mean a file system. */
  readonly remarks: readonly string[];
}

/** Real ones have some dozens of lines. */
export const MAX_FSTAB_BYTES = 256 * 1024;
const MAX_ENTRIES = 1000;
const MAX_REMARKS = 20;

/** What may lie on a disk of the guest. All else (proc, tmpfs, host:/export, //server/share, bind mounts) is not on its disks. */
const ON_DISK = /^(UUID|LABEL|PARTUUID|PARTLABEL|ID)=|^\/dev\//;
/** Drives with media that come and go. */
const REMOVABLE = /^\/dev\/(sr|scd|cdrom|cdrw|dvd|fd|floppy|zero|shm|pts|null|ram)/;

const MOUNTED_TYPES = new Set(["auto", "ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "msdos", ""]);

export function parseFstab(text: string): Fstab {
  const entries: FstabEntry[] = [];
  const swaps: string[] = [];
  const remarks: string[] = [];
  const remark = (line: number, why: string): void => {
    if (remarks.length < MAX_REMARKS) remarks.push(`line ${line}: ${why}`);
  };
  let line = 0;
  for (const written of text.split("\n")) {
    line++;
    const [device = "", point = "", type = "", options = ""] = fieldsOf(written);
    if (device === "" || !ON_DISK.test(device) || REMOVABLE.test(device)) continue;
    if (type === "swap" || point === "swap" || point === "none") {
      if (type === "swap" && swaps.length < MAX_ENTRIES) swaps.push(device);
      continue;
    }
    const names = options.split(",");
    if (names.includes("bind") || names.includes("rbind")) continue;
    const place = placeOf(point);
    if (typeof place === "string") remark(line, place);
    else if (entries.length === MAX_ENTRIES) remark(line, `more than ${MAX_ENTRIES} entries`);
    else
      entries.push({
        line,
        device,
        place,
        isOptional: !MOUNTED_TYPES.has(type) || names.includes("nofail") || names.includes("noauto"),
      });
  }
  return { entries, swaps, remarks };
}

function fieldsOf(line: string): string[] {
  const text = line.replace(/^[ \t]+/, "");
  if (text === "" || text.startsWith("#")) return [];
  return text.split(/[ \t]+/, 4).map(unescaped);
}

/** getmntent(3): blanks and backslashes in names are octal numbers. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8) & 0xff),
  );
}

/** Components of a mount point, or why it is none. */
function placeOf(point: string): string[] | string {
  if (!point.startsWith("/")) return "its mount point is no absolute path";
  if (point.length > 4000 || /[\0\n]/.test(point) || !isUtf8(Buffer.from(point, "latin1")))
    return "its mount point is no path";
  const names = point.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) return 'its mount point leads upwards by ".."';
  return names;
}
