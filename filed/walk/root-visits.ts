/**
 * The roots of a walk: looked at before it and after it, opened when it reaches them. A root that the FileSet names must be
 * there, or the job cannot mean what it was told. One from a list of files may be missing: that is told as for any
 * other entry, and the walk goes on.
 */
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { baseName, displayPath, keyToPath, parentKey } from "../../common/format/path.js";
import type { JobMessage } from "../../proto/data/backup.js";
import { rootsOf } from "../image/find-images.js";
import { type DirectoryHandle, newStat, type StatRecord, statIfThere } from "../sys/stat.js";
import { isAllowedType } from "./entering.js";
import type { CompiledFileSet, EntryOptions, WalkRoot } from "./file-set.js";
import type { MountTypes } from "./mounts.js";
import { RootCheck } from "./root-check.js";
import { RootCursor } from "./root-cursor.js";
import {
  allowedPlaces,
  checkAllowed,
  hostPath,
  nothingBelow,
  type OpenRoot,
  openRoot,
  openRootIn,
} from "./roots.js";

export interface WalkerOptions {
  fileSet: CompiledFileSet;
  /** Roots from lists of files, ascending, no two of the same key. */
  listed?: Iterator<WalkRoot> | undefined;
  /** Host paths that may be walked; undefined: all. */
  allowedRoots?: readonly string[] | undefined;
  report: (type: JobMessage["type"], text: string) => void;
}

/** Why there is nothing to save: it is not there, or nobody knows. */
export interface MissingRoot {
  missing: "gone" | "unread";
}

const probe = newStat();
/** After these, roots that cannot be saved are only counted. */
const MAX_TOLD = 1000;

export class RootVisits {
  readonly #options: WalkerOptions;
  readonly #mounts: MountTypes;
  #named: readonly WalkRoot[];
  #cursor: RootCursor | undefined;
  #check: RootCheck | undefined;
  #lost = 0;
  #allowed: { places: readonly string[] | undefined } | undefined;
  /** Directory that holds the listed root visited last: often it holds the next one as well. */
  #last: { base: string; key: string; handle: DirectoryHandle } | undefined;

  constructor(options: WalkerOptions, mounts: MountTypes) {
    this.#options = options;
    this.#mounts = mounts;
    this.#named = options.fileSet.roots;
  }

  get cursor(): RootCursor {
    this.#cursor ??= new RootCursor(this.#named, this.#options.listed);
    return this.#cursor;
  }

  /** Finds the disk images and looks at every root that the FileSet names. @throws BackupError ROOT_UNUSABLE */
  before(): void {
    for (const remark of this.#options.fileSet.remarks) this.#options.report("warning", remark);
    this.#named = rootsOf(this.#options);
    this.#check = new RootCheck(this.#named, this.#options.allowedRoots, this.#mounts);
    this.#check.before();
  }

  /** @throws BackupError ROOT_CHANGED when a root is another directory than before. */
  after(): void {
    const more = this.#lost - MAX_TOLD;
    if (more > 0) this.#options.report("notsaved", `${more} more names of lists could not be saved`);
    this.#check?.after();
  }

  /** Where the root with this key lies on the host, for messages. */
  pathOf(key: string): string {
    const root = this.#named.find((one) => one.key === key);
    return displayPath(root === undefined ? keyToPath(key) : hostPath(root));
  }

  /** Path of the root that the FileSet names nearest above a key, for messages; "" for one from a list. */
  pathAbove(key: string): string {
    const above = this.#named.filter((one) => one.key === "" || key.startsWith(`${one.key}\0`));
    const nearest = above.reduce<WalkRoot | undefined>(
      (best, one) => (best !== undefined && best.key.length >= one.key.length ? best : one),
      undefined,
    );
    return nearest === undefined ? "" : displayPath(keyToPath(nearest.key));
  }

  /** @throws BackupError ROOT_UNUSABLE when a root that the FileSet names went away meanwhile. */
  open(root: WalkRoot): OpenRoot | MissingRoot {
    if (root.isListed !== true) return openRoot(root);
    try {
      this.#allowed ??= { places: allowedPlaces(this.#options.allowedRoots) };
      checkAllowed(root, this.#allowed.places);
      return this.#openListed(root);
    } catch (error) {
      const cause = error instanceof BackupError ? error.cause : error;
      if (!(error instanceof BackupError) && codeOf(error) === undefined) throw error;
      const why = describeError(cause ?? error);
      this.#tell(root, why);
      const code = codeOf(cause);
      return { missing: cause === undefined || code === "ENOENT" || code === "ENOTDIR" ? "gone" : "unread" };
    }
  }

  #openListed(root: WalkRoot): OpenRoot | MissingRoot {
    const above = parentKey(root.key);
    if (above === undefined) return openRoot(root);
    const last = this.#last;
    if (last !== undefined && last.base === root.base && last.key === above) {
      // Lists may name very many files that are gone: no exception for each.
      if (statIfThere(last.handle.fd, baseName(root.key), probe))
        return openRootIn(root, last.handle.retain());
      this.#tell(root, "no such file or directory");
      return { missing: "gone" };
    }
    const opened = openRoot(root);
    last?.handle.close();
    this.#last = { base: root.base, key: above, handle: opened.parent.retain() };
    return opened;
  }

  /** False for a directory from a list that lies on a file system which the FileSet leaves out. */
  isOnAllowedType(root: WalkRoot, stat: StatRecord, options: EntryOptions): boolean {
    if (root.isListed !== true || isAllowedType(options, stat, this.#mounts)) return true;
    const path = displayPath(hostPath(root));
    this.#options.report("skipped", `Top level directory "${path}" has unlisted fstype`);
    return false;
  }

  /**
   * Passes the roots below an entry that is no directory.
   * @throws BackupError ROOT_UNUSABLE for one that the FileSet names
   */
  refuseBelow(key: string): void {
    while (this.cursor.isBelow(key)) {
      const root = this.cursor.head!;
      if (root.isListed !== true) throw nothingBelow(root, key);
      this.#tell(root, "not a directory");
      this.cursor.advance();
    }
  }

  close(): void {
    this.#last?.handle.close();
    this.#last = undefined;
    this.#options.listed?.return?.();
  }

  #tell(root: WalkRoot, why: string): void {
    this.#lost++;
    if (this.#lost > MAX_TOLD) return;
    this.#options.report("notsaved", `Could not stat "${displayPath(hostPath(root))}": ERR=${why}`);
  }
}
