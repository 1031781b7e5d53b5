/** The guest's own table of file systems, and whether it finds on its new disks what it names (fstab(5)). */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { BackupError, codeOf } from "../../common/errors.js";
import { displayPath, pathToKey } from "../../common/format/path.js";
import { closeFd, openAt } from "../../common/sys/files.js";
import { Target } from "../restore/target.js";
import { withoutOctals } from "./device-use.js";
import type { RestorePlan } from "./plan.js";
import type { PartitionSpec } from "./plan-partition.js";

export interface FstabLine {
  readonly source: string;
  readonly at: string;
  readonly type: string;
  readonly options: readonly string[];
}

const MAX_BYTES = 1024 * 1024;
/** What is no disk of the machine's own. */
const NO_DISK =
  /^(proc|sysfs|tmpfs|devpts|devtmpfs|cgroup2?|none|nfs4?|cifs|overlay|swapfile|fuse.*|iso9660|udf|auto)$/;

/** A text file of the guest; undefined when there is none. No link in the guest is followed. @throws BackupError RESTORE_VM */
export function readGuestFile(root: string, path: string): string | undefined {
  const base = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const target = new Target(base);
  try {
    const { fd: parent, name } = target.parentOf(pathToKey(path), false);
    const fd = openAt(parent, name, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > MAX_BYTES)
        throw new BackupError("RESTORE_VM", `${path} of the guest is no file of at most a megabyte`);
      const bytes = Buffer.alloc(stat.size);
      return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, 0));
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  } finally {
    target.close();
    closeSync(base);
  }
}

/** Lines of a table; comments and what has no type are left out. */
export function parseFstab(text: string): FstabLine[] {
  return text.split("\n").flatMap((line) => {
    const [source = "", at = "", type = "", options = "defaults"] = line
      .trim()
      .split(/\s+/)
      .map(withoutOctals);
    if (source === "" || source.startsWith("#") || type === "") return [];
    return [{ source: source.replace(/^(\w+)="(.*)"$/, "$1=$2"), at, type, options: options.split(",") }];
  });
}

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase();

/** Does the guest find this by the name in its table? undefined: it cannot be told from here. */
function finds(source: string, partitions: readonly PartitionSpec[]): boolean | undefined {
  const [, tag = "", value = ""] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)$/.exec(source) ?? [];
  if (tag === "UUID") return partitions.some(({ uuid }) => same(uuid, value));
  if (tag === "LABEL") return partitions.some(({ label }) => label === value);
  if (tag === "PARTLABEL") return partitions.some(({ name }) => name === value);
  // In an MBR it is made of the table's identifier.
  if (tag === "PARTUUID" && value.length === 36)
    return partitions.some(({ partUuid }) => same(partUuid, value));
  return undefined;
}

/**
 * What an operator must know of the table before the guest starts: lines that name nothing on the plan's disks, those that
 * name devices (which the new machine may call otherwise), and partitions that no line names.
 */
export function fstabNotes(text: string | undefined, plan: RestorePlan): string[] {
  if (text === undefined)
    return ["the guest has no /etc/fstab: it must find its root by the kernel's command line"];
  const partitions = plan.disks.flatMap((disk) => disk.partitions);
  const lines = parseFstab(text).filter(({ type, source }) => !NO_DISK.test(type) && !/^\/\/|:/.test(source));
  const notes: string[] = [];
  for (const { source, at, options } of lines) {
    const shown = `${displayPath(Buffer.from(source).toString("latin1"))} (${displayPath(Buffer.from(at).toString("latin1"))})`;
    const found = finds(source, partitions);
    const waits =
      options.includes("nofail") || options.includes("noauto")
        ? ""
        : ": the guest waits for it when it starts";
    if (found === false) notes.push(`/etc/fstab names ${shown}, which is on no disk of the plan${waits}`);
    else if (found === undefined && source.startsWith("/dev/"))
      notes.push(
        `/etc/fstab names ${shown} by its device: give the guest its disks under the same names and in the same order`,
      );
  }
  for (const { mount } of partitions) {
    if (mount !== undefined && mount !== "/" && !lines.some(({ at }) => at === mount))
      notes.push(
        `no line of /etc/fstab mounts ${mount}, which the plan has: the guest will not see it there`,
      );
  }
  return notes.length > 0 ? notes : ["/etc/fstab needs no change: all that it names is on the new disks"];
}
