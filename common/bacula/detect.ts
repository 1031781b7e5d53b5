/** Tells Bacula's configuration language from YAML, by what is in a file. */

import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { findInputs } from "./layout.js";
import { decode } from "./sources.js";

/** More than any comment at the head of a file. */
const HEAD_BYTES = 256 * 1024;
/** More than any name of a resource, over however many lines it is written. */
const MAX_NAME = 1000;

/**
 * `Name {` or `@file` comes first in Bacula's language, `Name:` in YAML. A directory is Bareos' when it holds one of
 * its trees or Bacula's files, and no YAML. False for what cannot be read: the YAML loader says why.
 */
export function isBaculaSyntax(file: string): boolean {
  try {
    const status = statSync(file);
    if (status.isDirectory()) return isBaculaDirectory(file);
    // What is read from a pipe is gone, and one that nobody writes to would be waited for.
    return status.isFile() && startsAsBacula(head(file));
  } catch {
    return false;
  }
}

function isBaculaDirectory(directory: string): boolean {
  if (readdirSync(directory).some((name) => /\.ya?ml$/.test(name))) return false;
  return findInputs(directory).length > 0;
}

function head(file: string): string {
  const fd = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(HEAD_BYTES);
    return decode(bytes.subarray(0, readSync(fd, bytes, 0, HEAD_BYTES, 0))).text;
  } finally {
    closeSync(fd);
  }
}

/** Looks at the first words that are no comment. */
export function startsAsBacula(text: string): boolean {
  let words = "";
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    const [code] = line.split("#", 1);
    const first = `${words}${code!.slice(0, MAX_NAME)} `.trimStart();
    if (first.startsWith("@")) return true;
    if (/^[A-Za-z][A-Za-z _-]*\{/.test(first)) return true;
    if (first !== "" && !/^[A-Za-z][A-Za-z _-]*$/.test(first.trimEnd())) return false;
    if (first.length > MAX_NAME) return false;
    words = first;
  }
  return false;
}
