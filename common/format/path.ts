/**
 * Paths as Basalt carries them.
 *
 * A file name is bytes, never assumed to be UTF-8. Inside the program a name is a latin1 string: one UTF-16
 * unit per byte. A path key is the path below the (virtual) root with every `/` replaced by NUL, without a
 * leading separator; the root itself is the empty key. Plain string comparison of two keys is then the one
 * normative path order: NUL sorts below every byte of a name, so `a`, `a/b`, `a-b`, `a.b` come in the order in
 * which a sorted depth-first walk meets them.
 */

/** Longest key accepted from a peer or a volume, in bytes. Linux has no limit on a whole path. */
export const MAX_KEY_BYTES = 65_535;

/** Key of an absolute path (latin1 carrier). `/` gives "". Repeated and trailing slashes are dropped. */
export function pathToKey(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.join("\0");
}

/** The text without the slashes at its end; in linear time, which an expression would not take. */
export function withoutEndSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === "/") end--;
  return text.slice(0, end);
}

/** Absolute path (latin1 carrier) of a key; the root key gives "/". */
export function keyToPath(key: string): string {
  return `/${key.replaceAll("\0", "/")}`;
}

/** Negative, 0 or positive as `a` sorts before, with or after `b` in path order. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** True when `key` is `top` itself or lies below it. */
export function isWithin(top: string, key: string): boolean {
  if (top === "") return true;
  if (!key.startsWith(top)) return false;
  return key.length === top.length || key.charCodeAt(top.length) === 0;
}

/** True when `key` lies strictly below `top`. */
export function isBelow(top: string, key: string): boolean {
  return key.length > top.length && isWithin(top, key);
}

/** Key of the directory that holds `key`; undefined for the root. */
export function parentKey(key: string): string | undefined {
  if (key === "") return undefined;
  const cut = key.lastIndexOf("\0");
  return cut < 0 ? "" : key.slice(0, cut);
}

/** Last component of a key ("" for the root). */
export function baseName(key: string): string {
  return key.slice(key.lastIndexOf("\0") + 1);
}

/** Key of `name` inside the directory `dir`. */
export function childKey(dir: string, name: string): string {
  return dir === "" ? name : `${dir}\0${name}`;
}

/**
 * True when a key from a peer or a volume names a place below the root: no empty, `.` or `..` component, no
 * slash, bytes only, not too long. Everything that receives keys calls this before using them.
 */
export function isSafeKey(key: string): boolean {
  if (key === "") return true;
  if (key.length > MAX_KEY_BYTES) return false;
  // One pass: this is asked of every row of every list.
  let start = 0;
  for (let i = 0; i <= key.length; i++) {
    const unit = i === key.length ? 0 : key.charCodeAt(i);
    if (unit > 0xff || unit === 0x2f) return false;
    if (unit !== 0) continue;
    const length = i - start;
    if (length === 0) return false;
    if (length <= 2 && key.charCodeAt(start) === 0x2e && key.charCodeAt(i - 1) === 0x2e) return false;
    start = i + 1;
  }
  return true;
}

/**
 * A latin1-carried path for a screen or a log: valid UTF-8 is shown as text; control bytes, backslashes and
 * bytes that are no UTF-8 as `\ooo` octal, so that the result is one line and unambiguous.
 */
export function displayPath(path: string): string {
  const bytes = Buffer.from(path, "latin1");
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    let text: string | undefined;
    if (lead >= 0x20 && lead !== 0x7f && lead !== 0x5c) {
      try {
        text = decoder.decode(bytes.subarray(at, at + length));
      } catch {
        text = undefined;
      }
    }
    // C1 controls and bidirectional marks are text to UTF-8, but would garble a terminal.
    if (text !== undefined && /^[^\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]$/u.test(text)) {
      out += text;
      at += length;
    } else {
      out += `\\${lead.toString(8).padStart(3, "0")}`;
      at += 1;
    }
  }
  return out;
}

/** The bytes (as latin1 carrier) of text typed by a person or written in a UTF-8 configuration file. */
export function bytesOfText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
