/** The partitions of a disk's file, mounted read-only for as long as a comparison takes. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";

/** Places of the partitions, by their numbers. */
function partitions(disk: string): Map<number, { start: number; size: number }> {
  const { partitiontable } = JSON.parse(execFileSync("sfdisk", ["--json", disk], { encoding: "utf8" }));
  const rows = partitiontable.partitions as { node: string; start: number; size: number }[];
  return new Map(rows.map((row) => [Number(row.node.slice(disk.length)), row]));
}

/** Mounts `places` (number and place below `at`, the root's first) for the time of `work`. */
export async function whileMounted(
  disk: string,
  at: string,
  places: readonly (readonly [number, string])[],
  work: () => Promise<void>,
): Promise<void> {
  const table = partitions(disk);
  const mounted: string[] = [];
  mkdirSync(at);
  try {
    for (const [number, place] of places) {
      const { start, size } = table.get(number)!;
      const options = `ro,loop,offset=${start * 512},sizelimit=${size * 512}`;
      execFileSync("mount", ["-o", options, disk, `${at}${place}`]);
      mounted.push(`${at}${place}`);
    }
    await work();
  } finally {
    for (const each of mounted.reverse()) execFileSync("umount", [each]);
    rmdirSync(at);
  }
}
