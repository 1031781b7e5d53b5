/**
 * The directory tree that is restored into. Every parent is reached from the target's descriptor, component by
 * component, never through a symlink: whatever names and links say, nothing is made outside.
 */
import { randomBytes } from "node:crypto";
import { codeOf } from "../../common/errors.js";
import { baseName } from "../../common/format/path.js";
import { closeFd, makeDirectoryAt, openAt } from "../../common/sys/files.js";
import { getXattr } from "../../common/sys/xattr.js";
import { O_DIRECTORY } from "../sys/stat.js";

/** A failure of one entry, in words for the report. */
export class EntryError extends Error {}

/** Mode of directories that have no entry of their own in the restore. */
const PARENT_MODE = 0o755;
/** Descriptors kept open on the way to the current directory; deeper paths reopen when they come back up. */
const MAX_OPEN_LEVELS = 128;

interface Level {
  name: string;
  /** -1 when it was closed to save descriptors. */
  fd: number;
  /** Whether new entries inherit an ACL here; undefined: not looked at yet. */
  inheritsAcl: boolean | undefined;
}

/** An open directory, valid until the next call of `parentOf` or `directory`. */
export interface Place {
  fd: number;
  name: string;
}

export class Target {
  readonly #base: Level;
  #levels: Level[] = [];

  /** `baseFd` stays the caller's. */
  constructor(baseFd: number) {
    this.#base = { name: "", fd: baseFd, inheritsAcl: undefined };
  }

  /** Parent directory (made if missing, unless told not to) and last component of a key that is not the root's. */
  parentOf(key: string, make = true): Place {
    const cut = key.lastIndexOf("\0");
    return { fd: this.#enter(cut < 0 ? [] : key.slice(0, cut).split("\0"), make), name: baseName(key) };
  }

  /** The directory itself, which must exist. @throws SysError, EntryError */
  directory(key: string): number {
    return this.#enter(key === "" ? [] : key.split("\0"), false);
  }

  /** True when the directory entered last hands an ACL down to new entries. */
  get inheritsAcl(): boolean {
    const level = this.#levels.at(-1) ?? this.#base;
    level.inheritsAcl ??= getXattr(level.fd, "system.posix_acl_default") !== undefined;
    return level.inheritsAcl;
  }

  #enter(names: readonly string[], make: boolean): number {
    let depth = 0;
    while (depth < names.length && this.#levels[depth]?.name === names[depth]) depth++;
    while (this.#levels.length > depth) this.#pop();
    let current = this.#levels.at(-1) ?? this.#base;
    if (current.fd < 0) {
      this.close();
      depth = 0;
      current = this.#base;
    }
    for (; depth < names.length; depth++) {
      const name = names[depth]!;
      const fd = this.#open(current.fd, name, names, depth, make);
      current = { name, fd, inheritsAcl: undefined };
      this.#levels.push(current);
      const far = this.#levels[this.#levels.length - 1 - MAX_OPEN_LEVELS];
      if (far !== undefined && far.fd >= 0) {
        closeFd(far.fd);
        far.fd = -1;
      }
    }
    return current.fd;
  }

  #open(parent: number, name: string, names: readonly string[], depth: number, make: boolean): number {
    for (let attempt = 0; ; attempt++) {
      try {
        return openAt(parent, name, O_DIRECTORY);
      } catch (error) {
        const code = codeOf(error);
        if (code === "ENOTDIR" || code === "ELOOP") {
          const where = `/${names.slice(0, depth + 1).join("/")}`;
          throw new EntryError(
            `${where} is in the way: it is a symbolic link or no directory, and is not followed`,
          );
        }
        if (code !== "ENOENT" || !make || attempt > 0) throw error;
        this.#make(parent, name);
      }
    }
  }

  #make(parent: number, name: string): void {
    try {
      makeDirectoryAt(parent, name, PARENT_MODE);
    } catch (error) {
      // Another thread was first.
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }

  #pop(): void {
    const level = this.#levels.pop()!;
    if (level.fd >= 0) closeFd(level.fd);
  }

  /** Closes all descriptors; the target can be used again. Call before a directory may be replaced. */
  close(): void {
    while (this.#levels.length > 0) this.#pop();
  }
}

/** Random part of the names of unfinished files. */
export function newTag(): string {
  return randomBytes(6).toString("hex");
}
