/** Paths as text that patterns are matched with. */

const ASCII = /^[\0-\x7f]*$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Text of a latin1-carried path, for patterns only: not for display, not reversible by Buffer.from. */
export function textOfBytes(path: string): string {
  if (ASCII.test(path)) return path;
  const bytes = Buffer.from(path, "latin1");
  try {
    return utf8.decode(bytes);
  } catch {
    return Array.from(path, (char) => surrogate(char.charCodeAt(0))).join("");
  }
}

function surrogate(byte: number): string {
  return String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte);
}
