/** The way from the root of an extracted tree down to the directory of the newest entry, held open by descriptors. */
import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync } from "node:fs";
import { BackupError, codeOf } from "../../../common/errors.js";
import { isWithin, keyToPath } from "../../../common/format/path.js";
import type { Row } from "../../../common/format/row.js";
import { makeDirectoryAt, openAt } from "../../../common/sys/files.js";
import { getXattr } from "../../../common/sys/xattr.js";
import { describeDirectory, dropAcls, type Left } from "./metadata.js";

export const O_DIRECTORY = 0o200000;
/** Descriptors held; deeper ones are closed on the way down and opened again on the way up. */
const MAX_OPEN = 128;
/** Of directories that were made and have no entry among those asked for. */
const PLAIN_MODE = 0o755;

interface Level {
  key: string;
  /** -1: closed to save descriptors, or lost. */
  fd: number;
  /** Which directory that was. */
  identity: string;
  /** To be set at the end; undefined: the directory was there before, or is none of those asked for. */
  row: Row | undefined;
  made: boolean;
  /** Whether new entries inherit an ACL here; undefined: not looked at yet. */
  inheritsAcl: boolean | undefined;
}

export class Directories {
  readonly #options: { replace: boolean; left: Left };
  readonly #levels: Level[] = [];

  /** Opens `directory`, making it when it is missing. @throws BackupError EXTRACT_FAILED */
  constructor(directory: string, options: { replace: boolean; left: Left }) {
    this.#options = options;
    try {
      const made = mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
      const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      this.#levels.push({ key: "", fd, identity: "", row: undefined, made, inheritsAcl: undefined });
    } catch (cause) {
      throw new BackupError("EXTRACT_FAILED", `cannot extract to ${directory}`, { cause });
    }
  }

  get rootFd(): number {
    return this.#levels[0]!.fd;
  }

  /** True when the directory entered last hands an ACL down to new entries. */
  get inheritsAcl(): boolean {
    const top = this.#levels.at(-1)!;
    top.inheritsAcl ??= getXattr(top.fd, "system.posix_acl_default") !== undefined;
    return top.inheritsAcl;
  }

  /** The root itself is among what was asked for. */
  root(row: Row): void {
    const root = this.#levels[0]!;
    if (root.made || this.#options.replace) root.row = row;
  }

  /**
   * Makes `key` the innermost open directory; gives its descriptor, valid until the next call.
   * @throws SysError, BackupError EXTRACT_FAILED
   */
  enter(key: string, row: Row | undefined): number {
    while (!isWithin(this.#levels.at(-1)!.key, key)) this.#leave();
    for (let top = this.#levels.at(-1)!; ; top = this.#levels.at(-1)!) {
      if (top.fd < 0)
        throw new BackupError("EXTRACT_FAILED", `${keyToPath(top.key)} was moved away meanwhile`);
      if (top.key === key) return top.fd;
      const start = top.key === "" ? 0 : top.key.length + 1;
      const cut = key.indexOf("\0", start);
      const end = cut < 0 ? key.length : cut;
      this.#step(top, key.slice(start, end), key.slice(0, end), end === key.length ? row : undefined);
    }
  }

  /** Metadata of the directories that are still open, which are closed then. */
  finish(): void {
    while (this.#levels.length > 0) this.#leave();
  }

  /** Closes without more metadata. */
  abort(): void {
    for (const { fd } of this.#levels.splice(0)) if (fd >= 0) closeSync(fd);
  }

  #step(top: Level, name: string, key: string, row: Row | undefined): void {
    const made = makeIfMissing(top.fd, name);
    const fd = openAt(top.fd, name, O_DIRECTORY);
    // What was there is left as it is, unless it may be replaced.
    const own = made || this.#options.replace ? row : undefined;
    this.#levels.push({ key, fd, identity: "", row: own, made, inheritsAcl: made ? false : undefined });
    if (made && top.inheritsAcl !== false) dropAcls(fd, []);
    const far = this.#levels.length - 1 - MAX_OPEN;
    if (far > 0) this.#setAside(this.#levels[far]!);
  }

  /** Closes a descriptor for now. */
  #setAside(level: Level): void {
    if (level.fd < 0) return;
    level.identity = identityOf(level.fd);
    closeSync(level.fd);
    level.fd = -1;
  }

  #leave(): void {
    const level = this.#levels.pop()!;
    const { fd, row, made } = level;
    // Before the metadata, which may take the right away to go up from here.
    this.#findAgain(fd < 0 ? undefined : fd);
    if (fd < 0) {
      if (row !== undefined) this.#options.left(row, "metadata", "the directory was moved away meanwhile");
      return;
    }
    try {
      if (row !== undefined) describeDirectory(fd, row, this.#options.left);
      else if (made && level.key !== "") fchmodSync(fd, PLAIN_MODE);
    } finally {
      closeSync(fd);
    }
  }

  /** Opens the innermost directory again if it was closed; `below`: one that was in it. It must be the same one. */
  #findAgain(below: number | undefined): void {
    const top = this.#levels.at(-1);
    if (top === undefined || top.fd >= 0) return;
    try {
      const fd = below === undefined ? this.#fromRoot(top.key) : openAt(below, "..", O_DIRECTORY);
      if (identityOf(fd) === top.identity) top.fd = fd;
      else closeSync(fd);
    } catch {
      // It stays lost: entering it fails for each entry, with its name.
    }
  }

  #fromRoot(key: string): number {
    let fd = this.rootFd;
    for (const name of key.split("\0")) {
      const from = fd;
      try {
        fd = openAt(from, name, O_DIRECTORY);
      } finally {
        if (from !== this.rootFd) closeSync(from);
      }
    }
    return fd;
  }
}

function identityOf(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

function makeIfMissing(fd: number, name: string): boolean {
  try {
    makeDirectoryAt(fd, name, 0o700);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}
