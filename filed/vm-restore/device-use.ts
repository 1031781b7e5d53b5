/**
 * Who uses a block device or a disk's file: what has to be nobody before anything is written to it. The kernel refuses a
 * second claim of a device (O_EXCL) only to those who ask; a virtual machine that runs on it claims nothing, so the open
 * files of all processes are looked at as well.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename } from "node:path";
import { codeOf } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import { mountTable } from "../mount/mount-table.js";

/** Numbers of a device from st_rdev, as glibc's gnu_dev_major and gnu_dev_minor. */
export function deviceNumbers(rdev: number): string {
  const value = BigInt(rdev);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Each use in words (`mounted at /srv`), none when there is none. The path must exist. */
export function usesOf(path: string): string[] {
  const stat = statSync(path);
  const uses = stat.isBlockDevice() ? deviceUses(deviceNumbers(stat.rdev)) : [];
  return [...uses, ...loopsOver(path).map((loop) => `attached to ${loop}`), ...openBy(stat)];
}

/** Mounts, swap and devices on top of it; those of its partitions too. */
function deviceUses(numbers: string): string[] {
  const sys = `/sys/dev/block/${numbers}`;
  const found = [...mountsOf(numbers).map((at) => `mounted at ${at}`)];
  const node = basename(linkOf(sys));
  if (swaps().includes(node)) found.push("used as swap");
  for (const holder of entries(`${sys}/holders`)) found.push(`part of ${holder} (LVM, RAID or multipath)`);
  for (const child of entries(sys)) {
    const part = read(`${sys}/${child}/partition`);
    if (part === undefined) continue;
    const own = read(`${sys}/${child}/dev`)?.trim();
    if (own !== undefined) found.push(...deviceUses(own).map((use) => `its partition ${child} is ${use}`));
  }
  return found;
}

/** Where a device is mounted, by the kernel's table. */
export function mountsOf(numbers: string): string[] {
  return mountTable()
    .filter((mount) => mount.numbers === numbers)
    .map(({ point }) => displayPath(point));
}

function swaps(): string[] {
  const [, ...lines] = (read("/proc/swaps") ?? "").split("\n");
  return lines.filter(Boolean).map((line) => {
    const file = line.split(/\s/)[0]!;
    try {
      return basename(realpathSync(file));
    } catch {
      return basename(file);
    }
  });
}

/** Loop devices (`/dev/loop3`) that lie over a device or file. */
export function loopsOver(path: string): string[] {
  const real = realpathSync(path);
  return entries("/sys/block")
    .filter((name) => /^loop\d+$/.test(name))
    .filter((name) => read(`/sys/block/${name}/loop/backing_file`)?.replace(/\n$/, "") === real)
    .map((name) => `/dev/${name}`);
}

/** Processes other than this one that have it open. Those that end meanwhile do not count. */
function openBy(wanted: Stats): string[] {
  const users = new Set<string>();
  for (const pid of entries("/proc")) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    if (entries(`/proc/${pid}/fd`).some((fd) => isSame(`/proc/${pid}/fd/${fd}`, wanted)))
      users.add(`open in process ${pid} (${(read(`/proc/${pid}/comm`) ?? "?").trim()})`);
  }
  return [...users];
}

function isSame(file: string, wanted: Stats): boolean {
  try {
    const link = readlinkSync(file);
    // What is no path (sockets, pipes) is not looked at: most descriptors are that.
    if (!link.startsWith("/")) return false;
    const stat = statSync(file);
    if (wanted.isBlockDevice()) return stat.isBlockDevice() && stat.rdev === wanted.rdev;
    return stat.dev === wanted.dev && stat.ino === wanted.ino;
  } catch {
    return false;
  }
}

function linkOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ESRCH", "EINVAL", "ENXIO"].includes(codeOf(error) ?? ""))
      return undefined;
    throw error;
  }
}
