/**
 * Where things are mounted: the directory of a virtual machine on the host, and mount points in the guest's tree. What
 * lies in that tree is the guest's work; it is walked by open directories, one component after the other, and no
 * symlink is followed.
 */
import { constants, lstatSync, mkdirSync, readdirSync, readSync, realpathSync } from "node:fs";
import path from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { EntryType } from "../../common/format/row.js";
import { closeFd, openAt } from "../../common/sys/files.js";
import { AT_FDCWD } from "../../common/sys/native.js";
import { newStat, statFd } from "../sys/stat.js";
import { MAX_FSTAB_BYTES } from "./fstab.js";

const O_PATH = 0o10000000;

/**
 * The directory of a machine; it may not exist yet.
 * @throws BackupError MOUNT_FAILED for a name that is none
 */
export function machineDirectory(directory: string, vm: string): string {
  if (!/^[A-Za-z0-9._-]{1,200}$/.test(vm) || /^\.+$/.test(vm)) {
    const text = `"${vm}" is no name of a virtual machine: letters, digits, dots, underscores and hyphens make one`;
    throw new BackupError("MOUNT_FAILED", text);
  }
  return path.join(realDirectory(directory), vm);
}

/** The path without symlinks, also where its end does not exist. */
function realDirectory(directory: string): string {
  try {
    return realpathSync(directory);
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || directory === "/") throw error;
    return path.join(realDirectory(path.dirname(directory)), path.basename(directory));
  }
}

/**
 * Makes the directory of a machine in one that nobody but its owner may enter: the guests' files keep their modes, and
 * a set-uid program of a guest is no business of the host's users.
 * @throws BackupError MOUNT_FAILED
 */
export function makeMachineDirectory(root: string): void {
  const parent = path.dirname(root);
  try {
    mkdirSync(path.dirname(parent), { recursive: true, mode: 0o755 });
    makeDirectory(parent);
    checkParents(parent);
    makeDirectory(root);
    if (readdirSync(root).length > 0)
      throw new BackupError("MOUNT_FAILED", `${root} is not empty; remove what is in it`);
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError("MOUNT_FAILED", `cannot make ${root}: ${describeError(cause)}`, { cause });
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

function checkParents(directory: string): void {
  const { mode } = lstatSync(directory);
  if ((mode & 0o077) !== 0) {
    const text = `${directory} holds the files of virtual machines and may be entered by others; chmod 700 ${directory}`;
    throw new BackupError("MOUNT_FAILED", text);
  }
  for (let place = directory; ; place = path.dirname(place)) {
    const stat = lstatSync(place);
    const isOurs = stat.uid === 0 || stat.uid === process.geteuid?.();
    const isSafe = stat.isDirectory() && isOurs && ((stat.mode & 0o022) === 0 || (stat.mode & 0o1000) !== 0);
    if (!isSafe) {
      const text = `${place} belongs to others, or may be written by others: nothing is mounted below it`;
      throw new BackupError("MOUNT_FAILED", text);
    }
    if (place === "/") return;
  }
}

/**
 * Opens a directory in the tree of a guest for its path alone; the caller closes it. Crosses what is mounted there.
 * @throws SysError ENOENT; ELOOP or ENOTDIR for what is no directory
 */
export function openInside(root: string, names: readonly string[]): number {
  const flags = O_PATH | constants.O_DIRECTORY;
  let fd = openAt(AT_FDCWD, root, flags);
  for (const name of names) {
    try {
      const next = openAt(fd, name, flags);
      closeFd(fd);
      fd = next;
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }
  return fd;
}

/** A name for an open directory that another process can mount on. The end makes mount(8) follow it, whatever its version. */
export function pathOfOpen(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}/.`;
}

/** The guest's fstab (latin1 carrier); undefined when there is none, or nothing that could be one. */
export function readFstab(root: string): string | undefined {
  const opened: number[] = [];
  try {
    opened.push(openInside(root, ["etc"]));
    opened.push(openAt(opened[0]!, "fstab", constants.O_RDONLY | constants.O_NONBLOCK));
    const fd = opened[1]!;
    const stat = newStat();
    statFd(fd, stat);
    if (stat.type !== EntryType.file || stat.size > MAX_FSTAB_BYTES) return undefined;
    const bytes = Buffer.alloc(stat.size);
    return bytes.toString("latin1", 0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    // A damaged file system may fail in any way: this is not the root then.
    return undefined;
  } finally {
    for (const fd of opened) closeFd(fd);
  }
}
