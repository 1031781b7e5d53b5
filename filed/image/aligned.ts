/** Memory that direct reads (O_DIRECT) take. */
import { addressOf } from "../../common/sys/native.js";

/** Offsets, lengths and memory of direct reads are multiples of this: the largest logical sector there is. */
export const DIRECT_BYTES = 4096;

/** Begins at a multiple of DIRECT_BYTES. `memory` has DIRECT_BYTES more than `size`. */
export function aligned(memory: SharedArrayBuffer, size: number): Buffer {
  const past = addressOf(Buffer.from(memory)) % DIRECT_BYTES;
  return Buffer.from(memory, past === 0 ? 0 : DIRECT_BYTES - past, size);
}

export function alignedMemory(size: number): Buffer {
  return aligned(new SharedArrayBuffer(size + DIRECT_BYTES), size);
}
