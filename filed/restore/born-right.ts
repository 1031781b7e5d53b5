/**
 * Files that have their owner and mode from the moment they are made: in a tree of a system nearly all belong to root,
 * as does what root makes. Two system calls less for each.
 */
import type { Row } from "../../common/format/row.js";
import { newStat, statFd } from "../sys/stat.js";

const SPECIAL_BITS = 0o7000;

export class BornRight {
  readonly #umask = process.umask();
  readonly #stat = newStat();
  /** Whether new files here are root's with the mode asked for; undefined: none was looked at yet. */
  #holds: boolean | undefined;

  /**
   * @param enabled only below a directory that the restore made itself: nothing there has another group, and nobody
   *   but root gets in before the directories have their modes, last of all
   */
  constructor(enabled: boolean) {
    if (!enabled || process.geteuid?.() !== 0) this.#holds = false;
  }

  /** The mode to make the file with, when it then needs no other owner and mode; undefined: set them later. */
  modeFor(row: Row): number | undefined {
    const isPlain = row.uid === 0 && row.gid === 0 && (row.mode & (SPECIAL_BITS | this.#umask)) === 0;
    return isPlain && this.#holds !== false ? row.mode : undefined;
  }

  /** True when the file that was made with `modeFor` is as it should be. The first one tells for all. */
  confirm(fd: number, row: Row): boolean {
    if (this.#holds === undefined) {
      statFd(fd, this.#stat);
      const { uid, gid, mode } = this.#stat;
      // A file system may give everything to one user (NFS, FUSE, vfat), a directory above hand down its group.
      this.#holds = uid === 0 && gid === 0 && mode === row.mode;
    }
    return this.#holds;
  }
}
