/** POSIX ACLs: from the kernel's form in an extended attribute to the text that tar programs exchange. */

/** Attributes that hold an ACL, and the pax keyword under which tar programs look for it. */
export const ACL_KEYWORDS: Readonly<Record<string, string>> = {
  "system.posix_acl_access": "SCHILY.acl.access",
  "system.posix_acl_default": "SCHILY.acl.default",
};

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/** Tags of the kernel's entries: the word, and whether a numeric id belongs to it. */
const TAGS: Readonly<Record<number, readonly [word: string, hasId: boolean]>> = {
  1: ["user", false],
  2: ["user", true],
  4: ["group", false],
  8: ["group", true],
  16: ["mask", false],
  32: ["other", false],
};

/** `user::rw-,user:33:rwx,group::r--,mask::rwx,other::---`; undefined for bytes that are no ACL. */
export function aclText(value: Buffer): string | undefined {
  const entriesBytes = value.length - HEADER_BYTES;
  if (entriesBytes <= 0 || entriesBytes % ENTRY_BYTES !== 0 || value.readUInt32LE(0) !== VERSION)
    return undefined;
  const entries: string[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = TAGS[value.readUInt16LE(at)];
    const bits = value.readUInt16LE(at + 2);
    if (tag === undefined || bits > 7) return undefined;
    const [word, hasId] = tag;
    const rights = `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${bits & 1 ? "x" : "-"}`;
    entries.push(`${word}:${hasId ? value.readUInt32LE(at + 4) : ""}:${rights}`);
  }
  return entries.join(",");
}
