/**
 * What must be equal for a file's content to be trusted unread: Bacula's letters of `Accurate`, `BaseJob` and
 * `Verify`, and the defaults where none are given. Whatever is compared, the row that is written always carries the
 * entry's own metadata: letters decide about reading, not about what is stored. Type and size are always compared,
 * since a row cannot name content of another length.
 */

export interface Comparison {
  mtime: boolean;
  ctime: boolean;
  inode: boolean;
  links: boolean;
  mode: boolean;
  uid: boolean;
  gid: boolean;
  /** Extended attributes, ACLs and link group. */
  rest: boolean;
}

/** Against the machine's own last run: everything, ctime and inode included. */
const OWN: Comparison = {
  mtime: true,
  ctime: true,
  inode: true,
  links: false,
  mode: true,
  uid: true,
  gid: true,
  rest: true,
};

/** Against another machine: what two installs can share. */
const BASE: Comparison = { ...OWN, ctime: false, inode: false };

const DIGEST = /[1235]/;

/** True when one of the letters asks for a digest: every file is then read. */
export function asksForDigest(letters: string): boolean {
  return DIGEST.test(letters);
}

/**
 * Comparison with the machine's own last run. "" gives the default. `mtimeOnly` leaves ctime and inode out.
 * Letters that leave out mtime, ctime and digest would let any change of content pass: mtime is compared then.
 */
export function ownComparison(letters: string, mtimeOnly: boolean): Comparison {
  const wanted = letters === "" ? { ...OWN } : fromLetters(letters);
  if (mtimeOnly) {
    wanted.ctime = false;
    wanted.inode = false;
  }
  if (!wanted.mtime && !wanted.ctime) wanted.mtime = true;
  return wanted;
}

/** Comparison with a Base. Two machines never share ctime, inode or link count: those letters mean nothing here. */
export function baseComparison(letters: string): Comparison {
  if (letters === "") return { ...BASE };
  const mtime = letters.includes("m") || !asksForDigest(letters);
  return { ...fromLetters(letters), mtime, ctime: false, inode: false, links: false };
}

function fromLetters(letters: string): Comparison {
  const has = (letter: string): boolean => letters.includes(letter);
  return {
    mtime: has("m"),
    ctime: has("c"),
    inode: has("i"),
    links: has("n"),
    mode: has("p"),
    uid: has("u"),
    gid: has("g"),
    rest: false,
  };
}
