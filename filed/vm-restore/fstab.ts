/** The guest's own table of file systems, and whether it finds on its new disks what it names (fstab(5)). */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { BackupError, codeOf } from "../../common/errors.js";
import { bytesOfText, displayPath, pathToKey } from "../../common/format/path.js";
import { closeFd, openAt } from "../../common/sys/files.js";
import { type Fstab, MAX_FSTAB_BYTES, parseFstab } from "../mount/fstab.js";
import { Target } from "../restore/target.js";
import type { RestorePlan } from "./plan.js";
import type { PartitionSpec } from "./plan-partition.js";

/** A text file of the guest; undefined when there is none. No link in the guest is followed. @throws BackupError RESTORE_VM */
export function readGuestFile(root: string, path: string): string | undefined {
  const base = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const target = new Target(base);
  try {
    const { fd: parent, name } = target.parentOf(pathToKey(path), false);
    const fd = openAt(parent, name, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > MAX_FSTAB_BYTES)
        throw new BackupError("RESTORE_VM", `${path} of the guest is no file of at most 256 KiB`);
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

/** The table of a guest, with the values of `UUID="…"` and the like as they are without quotes. */
export function fstabOf(text: string): Fstab {
  const { entries, swaps, remarks } = parseFstab(Buffer.from(text).toString("latin1"));
  const plain = (device: string): string => textOf(device).replace(/^(\w+)="(.*)"$/, "$1=$2");
  return {
    entries: entries.map((entry) => ({
      ...entry,
      device: plain(entry.device),
      place: entry.place.map(textOf),
    })),
    swaps: swaps.map(plain),
    remarks,
  };
}

function textOf(carrier: string): string {
  return Buffer.from(carrier, "latin1").toString();
}

/**
 * What an operator must know of the table before the guest starts: lines that name nothing on the plan's disks, those that
 * name devices (which the new machine may call otherwise), and partitions that no line names.
 */
export function fstabNotes(text: string | undefined, plan: RestorePlan): string[] {
  if (text === undefined)
    return ["the guest has no /etc/fstab: it must find its root by the kernel's command line"];
  const partitions = plan.disks.flatMap((disk) => disk.partitions);
  const { entries, swaps, remarks } = fstabOf(text);
  const named = [
    ...entries.map(({ device, place, isOptional }) => ({ device, at: `/${place.join("/")}`, isOptional })),
    ...swaps.map((device) => ({ device, at: "swap", isOptional: false })),
  ];
  const notes = remarks.map((remark) => `/etc/fstab, ${remark}`);
  for (const { device, at, isOptional } of named) {
    const shown = `${displayPath(bytesOfText(device))} (${displayPath(bytesOfText(at))})`;
    const found = finds(device, partitions);
    const waits = isOptional ? "" : ": the guest waits for it when it starts";
    if (found === false) notes.push(`/etc/fstab names ${shown}, which is on no disk of the plan${waits}`);
    else if (found === undefined && device.startsWith("/dev/"))
      notes.push(
        `/etc/fstab names ${shown} by its device: give the guest its disks under the same names and in the same order`,
      );
  }
  for (const { mount } of partitions) {
    if (mount !== undefined && mount !== "/" && !named.some(({ at }) => at === mount))
      notes.push(
        `no line of /etc/fstab mounts ${mount}, which the plan has: the guest will not see it there`,
      );
  }
  return notes.length > 0 ? notes : ["/etc/fstab needs no change: all that it names is on the new disks"];
}
