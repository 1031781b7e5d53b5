/** Bytes that need not be stored. */
import { MAX_WHOLE_BYTES } from "../../common/format/content.js";

const zeros = Buffer.alloc(MAX_WHOLE_BYTES);

/** Is all of bytes[start, end), at least one byte and at most MAX_WHOLE_BYTES, zero? */
export function isZero(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] !== 0 || bytes[end - 1] !== 0) return false;
  return bytes.compare(zeros, 0, end - start, start, end) === 0;
}
