/**
 * Bacula's LStat: the fields of a stat as numbers in base 64, highest digit first, with blanks between: device,
 * inode, mode, links, owner, group, device number, size, block size, blocks, atime, mtime, ctime, FileIndex of the file
 * that a hard link leads to, flags, data stream. (Developers' guide, "Catalog Services", table File.)
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FIELDS = [
  ...["st_dev", "st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize"],
  ...["st_blocks", "st_atime", "st_mtime", "st_ctime", "LinkFI", "st_flags", "data"],
];
const TYPE_BITS: Readonly<Record<string, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  charDevice: 0o020000,
  blockDevice: 0o060000,
  fifo: 0o010000,
};
/** 4096, as everybody says. */
const BLOCK_SIZE = "BAA";

/** What a list keeps of an entry's stat. Inode, links, access and change times are not among it: they read as 0, 1, mtime. */
export interface StatFields {
  type: string;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtimeSec: number;
}

/** LStat of what is only known to be there. */
export const NO_LSTAT = Array.from({ length: 14 }, () => "A").join(" ");

function base64(value: number): string {
  let left = Math.trunc(Math.abs(value));
  let text = "";
  do {
    text = DIGITS[left % 64]! + text;
    left = Math.floor(left / 64);
  } while (left > 0);
  return value < 0 ? `-${text}` : text;
}

/** Of modes, owners and groups there are few. */
const NUMBERS = new Map<number, string>();
const MAX_NUMBERS = 10_000;

function known(value: number): string {
  let text = NUMBERS.get(value);
  if (text === undefined) {
    if (NUMBERS.size >= MAX_NUMBERS) NUMBERS.clear();
    text = base64(value);
    NUMBERS.set(value, text);
  }
  return text;
}

export function lstatOf({ type, mode, uid, gid, size, mtimeSec }: StatFields): string {
  const bits = (TYPE_BITS[type] ?? 0) | (mode & 0o7777);
  const time = base64(mtimeSec);
  const owner = `${known(uid)} ${known(gid)}`;
  const sizes = `${base64(size)} ${BLOCK_SIZE} ${base64(Math.ceil(size / 512))}`;
  return `A A ${known(bits)} B ${owner} A ${sizes} ${time} ${time} ${time} A A C`;
}

/** `field=value` pairs of an LStat; undefined for text that is none. */
export function decodeLstat(text: string): [field: string, value: string][] | undefined {
  const words = text.trim().split(/\s+/);
  if (words.length > FIELDS.length || !words.every((word) => /^-?[A-Za-z0-9+/]{1,11}$/.test(word)))
    return undefined;
  return words.map((word, index) => {
    const digits = word.replace(/^-/, "");
    const value = [...digits].reduce((sum, digit) => sum * 64n + BigInt(DIGITS.indexOf(digit)), 0n);
    return [FIELDS[index]!, `${word.startsWith("-") ? "-" : ""}${value}`];
  });
}
