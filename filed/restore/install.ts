/** Puts entries into place by the replace rule: made under another name where something exists, then renamed over it. */
import { codeOf } from "../../common/errors.js";
import { EntryType, type Row } from "../../common/format/row.js";
import {
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  makeSymlinkAt,
  removeDirectoryAt,
  renameAt,
  unlinkAt,
} from "../../common/sys/files.js";
import { newStat, type StatRecord, statAt, statIfThere } from "../sys/stat.js";
import { applyToName, type Count } from "./metadata.js";
import type { Replace } from "./protocol.js";
import { EntryError, type Place } from "./target.js";

/** Thrown for an entry that stays as it is; the message is Bacula's. */
export class Skipped extends Error {}

const existing = newStat();
const source = newStat();

/** @throws Skipped when the rule keeps what is there */
export function checkReplace(place: Place, row: Row, replace: Replace): void {
  if (replace === "always" || !statIfThere(place.fd, place.name, existing)) return;
  const reason = keepReason(row, existing, replace);
  if (reason !== undefined) throw new Skipped(reason);
}

/** Why the rule keeps what is there; undefined when it makes way. */
export function keepReason(row: Row, there: StatRecord, replace: Replace): string | undefined {
  const order = row.mtimeSec - there.mtimeSec || row.mtimeNsec - there.mtimeNsec;
  if (replace === "ifnewer" && order <= 0) return "File skipped. Not newer";
  if (replace === "ifolder" && order >= 0) return "File skipped. Not older";
  return replace === "never" ? "File skipped. Already exists" : undefined;
}

/** Renames `from` (in the same directory) to the place's name; an empty directory in the way is removed. */
export function moveIntoPlace(place: Place, from: string): void {
  for (let tried = false; ; tried = true) {
    try {
      renameAt(place.fd, from, place.fd, place.name);
      return;
    } catch (error) {
      const code = codeOf(error);
      if (tried || (code !== "EISDIR" && code !== "EEXIST" && code !== "ENOTEMPTY")) throw error;
      clearDirectory(place);
    }
  }
}

function clearDirectory(place: Place): void {
  try {
    removeDirectoryAt(place.fd, place.name);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOTEMPTY" || code === "EEXIST")
      throw new EntryError("a directory that is not empty is in the way");
    if (code === "EBUSY") throw new EntryError("a mount point is in the way");
    throw error;
  }
}

/** Makes a symlink, device or fifo. @throws Skipped */
export function makeSpecial(place: Place, row: Row, replace: Replace, temporary: string, count: Count): void {
  checkReplace(place, row, replace);
  try {
    createSpecial(place.fd, place.name, row);
    applyToName(place.fd, place.name, row, count);
    return;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  createSpecial(place.fd, temporary, row);
  try {
    applyToName(place.fd, temporary, row, count);
    moveIntoPlace(place, temporary);
  } catch (error) {
    unlinkAt(place.fd, temporary);
    throw error;
  }
}

function createSpecial(fd: number, name: string, row: Row): void {
  switch (row.type) {
    case EntryType.symlink:
      if (row.target === "") throw new EntryError("a symbolic link without a target");
      makeSymlinkAt(row.target, fd, name);
      break;
    case EntryType.fifo:
      makeNodeAt(fd, name, "fifo", 0o600);
      break;
    case EntryType.charDevice:
      makeNodeAt(fd, name, "char", 0o600, row.major, row.minor);
      break;
    case EntryType.blockDevice:
      makeNodeAt(fd, name, "block", 0o600, row.major, row.minor);
      break;
    default:
      throw new EntryError("an entry of a kind that cannot be made");
  }
}

/**
 * Makes a directory that only its owner may enter until its metadata is set, last of all.
 * @returns what was there before, if that is a directory (valid until the next call)
 */
export function makeFolder(place: Place, row: Row, replace: Replace): StatRecord | undefined {
  try {
    makeDirectoryAt(place.fd, place.name, 0o700);
    return undefined;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  statAt(place.fd, place.name, existing);
  if (existing.type === EntryType.directory) return existing;
  checkReplace(place, row, replace);
  unlinkAt(place.fd, place.name);
  makeDirectoryAt(place.fd, place.name, 0o700);
  return undefined;
}

/** Makes `place` a further name of `first`. @throws Skipped */
export function makeLink(first: Place, place: Place, row: Row, replace: Replace, temporary: string): void {
  statAt(first.fd, first.name, source);
  if (source.type === EntryType.directory) throw new EntryError("hard link to a directory");
  if (statIfThere(place.fd, place.name, existing)) {
    const same = existing.inode === source.inode && existing.devMajor === source.devMajor;
    if (same && existing.devMinor === source.devMinor) return;
    const reason = keepReason(row, existing, replace);
    if (reason !== undefined) throw new Skipped(reason);
    linkAt(first.fd, first.name, place.fd, temporary);
    try {
      moveIntoPlace(place, temporary);
    } catch (error) {
      unlinkAt(place.fd, temporary);
      throw error;
    }
    return;
  }
  linkAt(first.fd, first.name, place.fd, place.name);
}
