/** Commands that make the file systems of a plan, with the UUIDs and labels that the guest looks for. */
import type { Filesystem, PartitionSpec } from "./plan-partition.js";

/** The program that makes each, as operators know it. */
const PROGRAMS: Readonly<Record<Exclude<Filesystem, "none">, string>> = {
  ext2: "mkfs.ext2",
  ext3: "mkfs.ext3",
  ext4: "mkfs.ext4",
  xfs: "mkfs.xfs",
  vfat: "mkfs.vfat",
  swap: "mkswap",
};

/** Words of the command that makes the file system on a device; undefined when there is none to make. */
export function mkfsCommand(spec: PartitionSpec, device: string): string[] | undefined {
  const { filesystem, uuid, label, options } = spec;
  if (filesystem === "none") return undefined;
  const program = PROGRAMS[filesystem];
  const withLabel = (flag: string): string[] => (label === undefined ? [] : [flag, label]);
  if (filesystem === "vfat") {
    const id = uuid === undefined ? [] : ["-i", uuid.replace("-", "")];
    return [program, ...id, ...withLabel("-n"), ...options, device];
  }
  if (filesystem === "xfs") {
    const id = uuid === undefined ? [] : ["-m", `uuid=${uuid}`];
    return [program, "-q", "-f", ...id, ...withLabel("-L"), ...options, device];
  }
  const id = uuid === undefined ? [] : ["-U", uuid];
  // An old table of a whole disk stands where the file system begins: -F and -f go over it.
  const quiet = filesystem === "swap" ? ["-f"] : ["-q", "-F"];
  return [program, ...quiet, ...id, ...withLabel("-L"), ...options, device];
}

/** Programs that a plan needs beside those of util-linux. */
export function programsFor(partitions: readonly PartitionSpec[]): string[] {
  const found = partitions.flatMap(({ filesystem }) => (filesystem === "none" ? [] : [PROGRAMS[filesystem]]));
  return [...new Set(found)];
}
