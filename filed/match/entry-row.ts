/** The row of an entry as the walk sees it, before its content is known. */
import { describeError } from "../../common/errors.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import {
  type EntryState,
  EntryType,
  emptyRow,
  encodeXattrs,
  type Row,
  RowFlag,
} from "../../common/format/row.js";
import type { StatRecord } from "../sys/stat.js";
import type { WalkEntry } from "../walk/event.js";

/** Smaller files are stored inline or compressed by some file systems: missing blocks are no holes there. */
const SPARSE_FROM_BYTES = 4096;

export function stateOf(stat: StatRecord): EntryState {
  return { ctimeSec: stat.ctimeSec, ctimeNsec: stat.ctimeNsec, inode: stat.inode, links: stat.links };
}

/**
 * `known` is a row of the same inode with the same ctime: attributes and target are taken from it. Reports what
 * cannot be read.
 * @throws SysError ENOENT when a symlink vanished
 */
export function rowOfEntry(entry: WalkEntry, known: Row | undefined, warn: (text: string) => void): Row {
  const { stat } = entry;
  const row = emptyRow(entry.key, stat.type as EntryType);
  row.mode = stat.mode;
  row.uid = stat.uid;
  row.gid = stat.gid;
  row.mtimeSec = stat.mtimeSec;
  row.mtimeNsec = stat.mtimeNsec;
  if (stat.type === EntryType.file) {
    row.size = stat.size;
    // Zeros of a disk image come back as holes, whether or not they were any.
    const isSparse = stat.blocks * 512 < stat.size || entry.image !== undefined;
    if (isSparse && stat.size > SPARSE_FROM_BYTES) row.flags = RowFlag.sparse;
  } else if (isReadFifo(entry)) {
    // How much comes out of it shows when it is read.
    row.type = EntryType.file;
    row.flags = RowFlag.fifo;
  } else if (stat.type === EntryType.symlink) {
    row.target = known === undefined ? entry.dir.readlink(entry.name) : known.target;
  } else if (stat.type === EntryType.charDevice || stat.type === EntryType.blockDevice) {
    row.major = stat.major;
    row.minor = stat.minor;
  }
  // Those of a device's node say nothing about what is on it.
  if (entry.image?.isDevice === true) return row;
  row.xattrs = known === undefined ? xattrsOf(entry, warn) : known.xattrs;
  return row;
}

/** True for a named pipe whose content is saved. */
export function isReadFifo({ stat, options }: WalkEntry): boolean {
  return stat.type === EntryType.fifo && options.readFifo;
}

const ACL = /^system\.posix_acl_/;

function xattrsOf(entry: WalkEntry, warn: (text: string) => void): Buffer | undefined {
  const { acl, xattr } = entry.options;
  if (!acl && !xattr) return undefined;
  try {
    const all = entry.dir.xattrs(entry.name);
    if (all.length === 0) return undefined;
    return encodeXattrs(acl && xattr ? all : all.filter(({ name }) => (ACL.test(name) ? acl : xattr)));
  } catch (error) {
    const path = displayPath(keyToPath(entry.key));
    warn(`Could not read the extended attributes of "${path}": ERR=${describeError(error)}`);
    return undefined;
  }
}
