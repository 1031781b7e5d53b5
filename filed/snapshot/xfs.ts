/** Copies of image files that share their blocks: xfs with reflink, and whatever else can do that. */
import { constants, existsSync } from "node:fs";
import { chmod, copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { FileProvider, type FileStep } from "./file-provider.js";
import type { ImageFile } from "./images.js";
import { snapshotName } from "./names.js";

const CANNOT = ["ENOTSUP", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOSYS", "ENOTTY"];

export class XfsProvider extends FileProvider {
  protected steps(images: readonly ImageFile[]): FileStep[] {
    return images.map(({ number, name, path: from }) => {
      const path = snapshotName(name);
      const disks = [{ number, origin: name, path, writable: true }];
      return { disks, make: (directory) => clone(from, join(directory, path)) };
    });
  }

  protected async drop(path: string): Promise<void> {
    if (existsSync(path)) await rm(path);
  }
}

async function clone(from: string, to: string): Promise<void> {
  try {
    // One call of the kernel, which lets nobody write to the file meanwhile.
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    await chmod(to, 0o600);
  } catch (cause) {
    const text = CANNOT.includes(codeOf(cause) ?? "")
      ? `the file system of ${from} cannot share blocks between files (xfs: mkfs.xfs -m reflink=1)`
      : `no copy of ${from}: ${describeError(cause)}`;
    throw new BackupError("SNAPSHOT_FAILED", text, { cause });
  }
}
