/** How two descriptions of one entry differ, in the words of Bacula's Verify jobs. */

import { EntryType, type Row } from "./row.js";

/** What is compared, beside the type, which always is. Each property stands for one of Bacula's letters. */
export interface VerifyLetters {
  /** i: inode. Only where both sides know their state. */
  inode: boolean;
  /** p */
  mode: boolean;
  /** n: count of hard links; as inode. */
  links: boolean;
  /** u */
  uid: boolean;
  /** g */
  gid: boolean;
  /** s */
  size: boolean;
  /** m */
  mtime: boolean;
  /** c; as inode. */
  ctime: boolean;
  /** d: a size that became smaller. */
  shrunk: boolean;
  /** 1, 2, 3, 5: the content itself, by the digest that Basalt has (BLAKE3). */
  content: boolean;
}

/** Where a FileSet says nothing: mode, owner, size and time of change. */
export const DEFAULT_VERIFY_LETTERS = "pugsm";

export function verifyLetters(text: string): VerifyLetters {
  const letters = text === "" ? DEFAULT_VERIFY_LETTERS : text;
  const has = (letter: string): boolean => letters.includes(letter);
  return {
    inode: has("i"),
    mode: has("p"),
    links: has("n"),
    uid: has("u"),
    gid: has("g"),
    size: has("s"),
    mtime: has("m"),
    ctime: has("c"),
    shrunk: has("d"),
    content: /[1235]/.test(letters),
  };
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [EntryType.file]: "file",
  [EntryType.directory]: "directory",
  [EntryType.symlink]: "symlink",
  [EntryType.charDevice]: "character device",
  [EntryType.blockDevice]: "block device",
  [EntryType.fifo]: "fifo",
  [EntryType.deleted]: "deleted",
};

/**
 * A line for each difference but those of content; `cat` is what the catalog says, `file` what was found. Empty:
 * equal as far as the letters go.
 */
export function rowDifferences(cat: Row, file: Row, letters: VerifyLetters): string[] {
  const lines: string[] = [];
  const differ = (name: string, a: string | number, b: string | number): void => {
    if (a !== b) lines.push(`      ${name.padEnd(8)} differ. Cat: ${a} File: ${b}`);
  };
  if (cat.type !== file.type) {
    differ("type", TYPE_NAMES[cat.type] ?? "?", TYPE_NAMES[file.type] ?? "?");
    return lines;
  }
  const states = cat.state !== undefined && file.state !== undefined;
  if (letters.inode && states) differ("st_ino", cat.state!.inode, file.state!.inode);
  if (letters.mode) differ("st_mode", cat.mode.toString(8), file.mode.toString(8));
  if (letters.links && states) differ("st_nlink", cat.state!.links, file.state!.links);
  if (letters.uid) differ("st_uid", cat.uid, file.uid);
  if (letters.gid) differ("st_gid", cat.gid, file.gid);
  const isFile = cat.type === EntryType.file;
  if (letters.size && isFile) differ("st_size", cat.size, file.size);
  else if (letters.shrunk && isFile && file.size < cat.size)
    lines.push(`      st_size  decrease. Cat: ${cat.size} File: ${file.size}`);
  if (letters.mtime)
    differ("st_mtime", time(cat.mtimeSec, cat.mtimeNsec), time(file.mtimeSec, file.mtimeNsec));
  if (letters.ctime && states) {
    const [a, b] = [cat.state!, file.state!];
    differ("st_ctime", time(a.ctimeSec, a.ctimeNsec), time(b.ctimeSec, b.ctimeNsec));
  }
  if (cat.type === EntryType.symlink && cat.target !== file.target)
    lines.push("      the link's target differs");
  if (cat.type === EntryType.charDevice || cat.type === EntryType.blockDevice)
    differ("st_rdev", `${cat.major}:${cat.minor}`, `${file.major}:${file.minor}`);
  return lines;
}

/** The line for another content. */
export function contentDifference(cat: Buffer | undefined, file: Buffer | undefined): string {
  return `      BLAKE3   differs. Cat: ${cat?.toString("hex") ?? "none"} File: ${file?.toString("hex") ?? "none"}`;
}

function time(sec: number, nsec: number): string {
  return nsec === 0 ? String(sec) : `${sec}.${String(nsec).padStart(9, "0")}`;
}
