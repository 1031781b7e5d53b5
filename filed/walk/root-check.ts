/** Roots must be what the FileSet means when the walk begins, and still be that when it has ended. */
import { BackupError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import type { StatRecord } from "../sys/stat.js";
import { isAllowedType } from "./entering.js";
import type { EntryOptions, WalkRoot } from "./file-set.js";
import type { MountTypes } from "./mounts.js";
import { allowedPlaces, checkAllowed, hostPath, openRoot } from "./roots.js";

interface RootIdentity {
  root: WalkRoot;
  inode: number;
  devMajor: number;
  devMinor: number;
}

export class RootCheck {
  readonly #roots: readonly WalkRoot[];
  readonly #allowedRoots: readonly string[] | undefined;
  readonly #mounts: MountTypes;
  #directories: RootIdentity[] = [];

  constructor(roots: readonly WalkRoot[], allowedRoots: readonly string[] | undefined, mounts: MountTypes) {
    this.#roots = roots;
    this.#allowedRoots = allowedRoots;
    this.#mounts = mounts;
  }

  /** @throws BackupError ROOT_UNUSABLE: missing, not allowed, or on a file system that the FileSet leaves out. */
  before(): void {
    this.#directories = [];
    const places = allowedPlaces(this.#allowedRoots);
    for (const root of this.#roots) {
      // Images were looked at when they were found.
      if (root.image !== undefined) continue;
      checkAllowed(root, places);
      const { parent, stat } = openRoot(root);
      parent.close();
      const isDirectory = stat.type === EntryType.directory;
      const options = root.rules.select(root.key, isDirectory);
      if (options !== undefined) this.#checkType(root, stat, options);
      const { inode, devMajor, devMinor } = stat;
      if (isDirectory) this.#directories.push({ root, inode, devMajor, devMinor });
    }
  }

  /** @throws BackupError ROOT_CHANGED when a root directory is another one, or on another device, than before. */
  after(): void {
    for (const { root, inode, devMajor, devMinor } of this.#directories) {
      const { parent, stat } = openRoot(root);
      parent.close();
      if (stat.inode === inode && stat.devMajor === devMajor && stat.devMinor === devMinor) continue;
      const path = displayPath(hostPath(root));
      const text = `${path} is another directory or device than when the job began; was it unmounted?`;
      throw new BackupError("ROOT_CHANGED", text);
    }
  }

  #checkType(root: WalkRoot, stat: StatRecord, options: EntryOptions): void {
    if (isAllowedType(options, stat, this.#mounts)) return;
    const type = this.#mounts.typeOf(stat.devMajor, stat.devMinor);
    const path = displayPath(hostPath(root));
    const allowed = options.fsTypes.join(", ");
    const text = `${path} is on file system type ${type ?? "unknown"}, the FileSet allows ${allowed}`;
    throw new BackupError("ROOT_UNUSABLE", text);
  }
}
