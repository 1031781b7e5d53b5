/** For tests only: disks of virtual machines, made by the file systems' own tools. */
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot, type Skippable } from "../../common/test-needs.js";
import { emptyImage, hasTools, MIB, tool, toolWithInput } from "../image/maps/testing.js";
import { loopsLabelled } from "../sys/loop.js";
import { type MountSettings, toMountSettings } from "./config.js";
import { mountsWithin } from "./mount-table.js";
import { type MountTools, mountVm } from "./mount-vm.js";
import { machineLabel } from "./mounted-machine.js";
import { machineDirectory } from "./place.js";
import { unmountVm } from "./unmount-vm.js";
import type { Disk } from "./volumes.js";

export const VM = "web-1";

/** A file system, or what else goes into a partition. */
export interface Filling {
  kind: "ext4" | "ext3" | "ext2" | "xfs" | "btrfs" | "vfat" | "swap" | "none";
  /** Files by path below it; text, or a symlink's target. (Default: none) */
  files?: Record<string, string | { link: string }>;
  /** Further arguments of mkfs. */
  options?: readonly string[];
  /** Bytes. (Default: 32 MiB; xfs and btrfs 128 MiB) */
  size?: number;
}

const WIDE: ReadonlySet<string> = new Set(["xfs", "btrfs"]);

export function sizeOf({ kind, size }: Filling): number {
  return size ?? (WIDE.has(kind) ? 128 : 32) * MIB;
}

/** A directory with these files. */
export function makeTree(files: Filling["files"] = {}): string {
  const tree = scratchDirectory("mount-tree");
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    if (path.endsWith("/")) mkdirSync(join(tree, path), { recursive: true });
    else if (typeof content === "string") writeFileSync(join(tree, path), content);
    else symlinkSync(content.link, join(tree, path));
  }
  return tree;
}

/** A file with one file system. */
export function makeFileSystem(filling: Filling): string {
  const file = emptyImage(sizeOf(filling));
  const { kind, options = [] } = filling;
  if (kind === "none") return file;
  if (kind === "swap") tool("mkswap", ...options, file);
  else if (kind.startsWith("ext"))
    tool("mke2fs", "-q", "-F", "-t", kind, ...options, "-d", makeTree(filling.files), file);
  else if (kind === "btrfs") tool("mkfs.btrfs", "-q", "-f", ...options, "-r", makeTree(filling.files), file);
  else if (kind === "vfat") tool("mkfs.vfat", ...options, file);
  else {
    tool("mkfs.xfs", "-q", "-f", ...options, file);
    whileMounted(file, (directory) => void tool("cp", "-a", `${makeTree(filling.files)}/.`, directory));
  }
  return file;
}

/** Mounts a file system in a file for writing, as its machine would. */
export function whileMounted(file: string, work: (directory: string) => void): void {
  const directory = scratchDirectory("mount-guest");
  tool("mount", "-o", "loop", file, directory);
  try {
    work(directory);
  } finally {
    tool("umount", directory);
  }
}

/** A disk whose partitions, from 1 MiB on, hold these; files made beforehand are taken as they are. */
export function makeDisk(
  table: "gpt" | "dos",
  fillings: (Filling | string)[],
  script: string[] = [],
): string {
  const files = fillings.map((filling) => (typeof filling === "string" ? filling : makeFileSystem(filling)));
  const sizes = files.map((file) => statSync(file).size);
  const disk = emptyImage(sizes.reduce((sum, size) => sum + size, 2 * MIB));
  const lines = [`label: ${table}`, "unit: sectors"];
  let start = MIB;
  for (const [index, size] of sizes.entries()) {
    lines.push(`start=${start / 512}, size=${size / 512}${script[index] ?? ""}`);
    start += size;
  }
  toolWithInput(`${lines.join("\n")}\n`, "sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk);
  start = MIB;
  for (const [index, file] of files.entries()) {
    putInto(disk, start, file);
    start += sizes[index]!;
  }
  return disk;
}

export function putInto(disk: string, offset: number, file: string): void {
  const args = ["bs=1M", "conv=notrunc,sparse", "iflag=fullblock", "oflag=seek_bytes", "status=none"];
  tool("dd", `if=${file}`, `of=${disk}`, `seek=${offset}`, ...args);
}

export const disksOf = (...files: string[]): Disk[] =>
  files.map((device, index) => ({ number: index + 1, device, writable: true }));

interface Ending extends Skippable {
  after: (work: () => Promise<void>) => void;
}

export interface Mounted {
  readonly settings: MountSettings;
  readonly root: string;
  readonly lines: string[];
  mount(disks: readonly Disk[], tools?: Partial<MountTools>): Promise<void>;
  unmount(): Promise<void>;
}

/** A place where machines are mounted until the test ends, when nothing may be left; undefined: the test cannot run. */
export function mountPlace(
  t: Ending,
  settings: Partial<MountSettings> = {},
  ...programs: string[]
): Mounted | undefined {
  if (!asRoot(t) || !hasTools(t, "mount", "umount", "sfdisk", "mke2fs", ...programs)) return undefined;
  const directory = join(scratchDirectory("mount"), "mnt");
  const all = { ...toMountSettings(), directory, ...settings };
  const root = machineDirectory(directory, VM);
  const lines: string[] = [];
  const report = (line: string): void => void lines.push(line);
  const unmount = (): Promise<void> => unmountVm(VM, all, { report });
  t.after(async () => {
    await unmount();
    if (isAnythingLeft(root)) throw new Error(`something of ${root} is left`);
  });
  return {
    ...{ settings: all, root, lines, unmount },
    mount: (disks, tools = {}) => mountVm(VM, disks, all, { confirmedFreeze: false, report, ...tools }),
  };
}

/** Mounts or loop devices of a machine. */
export function isAnythingLeft(root: string): boolean {
  return mountsWithin(root).length > 0 || loopsLabelled(machineLabel(root)).length > 0;
}
