/** When content may be trusted unread: by the machine's own last run, or by a Base. */
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import type { StatRecord } from "../sys/stat.js";
import type { Comparison } from "../walk/comparison.js";

/** Rows with one of these say nothing about the file as it is now. */
const DOUBTFUL = RowFlag.unstable | RowFlag.unverified | RowFlag.damaged;

/** True when the row was seen with this ctime and inode: the kernel changed nothing about the entry since. */
export function sameChange(row: Row | undefined, stat: StatRecord): boolean {
  const state = row?.state;
  return (
    state !== undefined &&
    state.ctimeNsec === stat.ctimeNsec &&
    state.ctimeSec === stat.ctimeSec &&
    state.inode === stat.inode &&
    stat.inode !== 0 &&
    row!.type === stat.type
  );
}

/** True when nothing that statx tells differs from the row. */
export function sameStat(row: Row, stat: StatRecord): boolean {
  return (
    row.type === stat.type &&
    row.mtimeNsec === stat.mtimeNsec &&
    row.mtimeSec === stat.mtimeSec &&
    (row.type !== EntryType.file || row.size === stat.size) &&
    row.mode === stat.mode &&
    row.uid === stat.uid &&
    row.gid === stat.gid &&
    (row.major === stat.major || !isDevice(row)) &&
    (row.minor === stat.minor || !isDevice(row))
  );
}

function isDevice(row: Row): boolean {
  return row.type === EntryType.charDevice || row.type === EntryType.blockDevice;
}

export function isDoubtful(row: Row): boolean {
  return (row.flags & DOUBTFUL) !== 0;
}

/** `now` is the row built from what the walk sees, before its content is known. */
export function ownVouches(own: Row, now: Row, stat: StatRecord, wanted: Comparison): boolean {
  return (
    isTrusted(own) &&
    (!wanted.rest || sameChange(own, stat) || sameRest(own, now)) &&
    agrees(own, now, stat, wanted)
  );
}

export function baseVouches(base: Row, now: Row, stat: StatRecord, wanted: Comparison): boolean {
  return isTrusted(base) && (!wanted.rest || sameRest(base, now)) && agrees(base, now, stat, wanted);
}

function isTrusted(row: Row): boolean {
  return row.type === EntryType.file && row.content !== undefined && !isDoubtful(row);
}

function sameRest(row: Row, now: Row): boolean {
  if (row.group !== now.group) return false;
  if (row.xattrs === undefined || now.xattrs === undefined) return row.xattrs === now.xattrs;
  return row.xattrs.equals(now.xattrs);
}

function agrees(row: Row, now: Row, stat: StatRecord, wanted: Comparison): boolean {
  if (row.size !== now.size) return false;
  if (wanted.mtime && (row.mtimeSec !== now.mtimeSec || row.mtimeNsec !== now.mtimeNsec)) return false;
  if (wanted.mode && row.mode !== now.mode) return false;
  if (wanted.uid && row.uid !== now.uid) return false;
  if (wanted.gid && row.gid !== now.gid) return false;
  const { state } = row;
  if (!wanted.ctime && !wanted.inode && !wanted.links) return true;
  if (state === undefined) return false;
  if (wanted.ctime && (state.ctimeSec !== stat.ctimeSec || state.ctimeNsec !== stat.ctimeNsec)) return false;
  if (wanted.inode && state.inode !== stat.inode) return false;
  return !wanted.links || state.links === stat.links;
}
