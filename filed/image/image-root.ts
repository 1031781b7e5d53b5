/** A disk image as the walk meets it: a device or file that becomes one regular-file row. */
import { BackupError, describeError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import { closeFd, endOf, openAt } from "../../common/sys/files.js";
import { AT_FDCWD } from "../../common/sys/native.js";
import { nowMs } from "../../common/time.js";
import { DirectoryHandle, newStat, O_NONBLOCK, readLinkAt, type StatRecord } from "../sys/stat.js";

/** What an entry of the walk is when it is read as a disk image. */
export interface ImageEntry {
  /** A block device: nothing but its content tells whether it changed. */
  isDevice: boolean;
}

export interface OpenImage {
  /** Directory that really holds it; the caller closes it. */
  parent: DirectoryHandle;
  name: string;
  stat: StatRecord;
  image: ImageEntry;
}

/**
 * Opens the directory of an image and looks at it. A device is described as a file of its length, with the mode and
 * owner of its node, changed now; inode 0 says that nothing vouches for it later.
 * @param real absolute, without symlinks (latin1 carrier)
 * @throws BackupError ROOT_UNUSABLE
 */
export function openImage(real: string): OpenImage {
  const cut = real.lastIndexOf("/");
  const name = real.slice(cut + 1);
  let parent: DirectoryHandle | undefined;
  try {
    const directory = cut === 0 ? "/" : real.slice(0, cut);
    parent = DirectoryHandle.open(undefined, directory);
    // Somebody may have put a link in the way since it was found to be allowed.
    if (readLinkAt(AT_FDCWD, `/proc/self/fd/${parent.fd}`) !== directory)
      throw new Error("its directory moved");
    const stat = newStat();
    parent.stat(name, stat);
    const isDevice = stat.type === EntryType.blockDevice;
    if (!isDevice && stat.type !== EntryType.file) throw new Error("it is no device or file any more");
    if (isDevice) describeDevice(stat, sizeOf(parent, name));
    return { parent, name, stat, image: { isDevice } };
  } catch (cause) {
    parent?.close();
    const text = `${displayPath(real)} cannot be backed up as an image: ${describeError(cause)}`;
    throw new BackupError("ROOT_UNUSABLE", text, { cause });
  }
}

function sizeOf(parent: DirectoryHandle, name: string): number {
  const fd = openAt(parent.fd, name, O_NONBLOCK);
  try {
    return endOf(fd);
  } finally {
    closeFd(fd);
  }
}

function describeDevice(stat: StatRecord, size: number): void {
  const ms = Math.floor(nowMs());
  stat.type = EntryType.file;
  stat.size = size;
  stat.blocks = Math.ceil(size / 512);
  stat.mtimeSec = stat.ctimeSec = Math.floor(ms / 1000);
  stat.mtimeNsec = stat.ctimeNsec = (ms % 1000) * 1_000_000;
  stat.inode = 0;
  stat.links = 1;
  stat.major = 0;
  stat.minor = 0;
}
