/** By what the mounts of a virtual machine are known: the labels of their loop devices. */
import { createHash } from "node:crypto";
import path from "node:path";
import { loopLabel } from "../sys/loop.js";
import { realPath } from "../sys/real-path.js";
import { mountTable } from "./mount-table.js";

/** Label of the loop devices that are mounted in a machine's directory (without symlinks). */
export function machineLabel(root: string): string {
  return `basalt-${createHash("sha256").update(root).digest("hex").slice(0, 40)}`;
}

/** Is the directory (latin1 carrier) the root of a machine that is mounted now, or does it lie below one? */
export function isInMountedMachine(directory: string): boolean {
  let place: string;
  try {
    place = realPath(directory);
  } catch {
    return false;
  }
  const table = mountTable();
  for (; place !== "/"; place = path.dirname(place)) {
    const label = machineLabel(Buffer.from(place, "latin1").toString("utf8"));
    const mounts = table.filter(({ point, source }) => point === place && source.startsWith("/dev/loop"));
    if (mounts.some(({ source }) => loopLabel(source) === label)) return true;
  }
  return false;
}
