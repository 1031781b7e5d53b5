/** Read-only snapshots of the btrfs subvolumes that a machine's images lie in. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { BackupError } from "../../common/errors.js";
import { FileProvider, type FileStep } from "./file-provider.js";
import type { ImageFile } from "./images.js";
import { snapshotName } from "./names.js";
import { runTool } from "./tool.js";

/** The inode number of every subvolume's root. */
const SUBVOLUME_ROOT = 256;
const BTRFS_TIMEOUT_MS = 300_000;

export class BtrfsProvider extends FileProvider {
  protected steps(images: readonly ImageFile[]): FileStep[] {
    const bySubvolume = new Map<string, ImageFile[]>();
    for (const image of images) {
      const subvolume = subvolumeOf(image);
      bySubvolume.set(subvolume, [...(bySubvolume.get(subvolume) ?? []), image]);
    }
    return [...bySubvolume].map(([subvolume, files]) => {
      // Subvolumes below the directory of the images by their path, others (it lies within one) by a name for all.
      const below = relative(this.directory, subvolume);
      const inside = below !== "" && !below.startsWith("..");
      const name = snapshotName(inside ? below.replaceAll("/", "_") : "images");
      const disks = files.map(({ number, name: origin, path: from }) => {
        return { number, origin, path: join(name, relative(subvolume, from)), writable: false };
      });
      const make = async (directory: string): Promise<void> => {
        const words = ["btrfs", "subvolume", "snapshot", "-r", "--", subvolume, join(directory, name)];
        await runTool(words, { timeoutMs: BTRFS_TIMEOUT_MS });
      };
      return { disks, make };
    });
  }

  protected async drop(path: string): Promise<void> {
    if (!existsSync(path)) return;
    const words = ["btrfs", "subvolume", "delete", "--commit-after", "--", path];
    await runTool(words, { timeoutMs: BTRFS_TIMEOUT_MS });
  }
}

/** @throws BackupError SNAPSHOT_FAILED when there is none */
function subvolumeOf({ path, stats: { dev } }: ImageFile): string {
  for (let place = dirname(path); ; place = dirname(place)) {
    const stats = statSync(place);
    if (stats.dev !== dev || place === "/") break;
    if (stats.ino === SUBVOLUME_ROOT) return place;
  }
  throw new BackupError("SNAPSHOT_FAILED", `${path} is in no subvolume of btrfs`);
}
