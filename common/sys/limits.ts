/** Limits of the own process. */
import { addressOf, fail, raw } from "./native.js";

/** asm-generic/resource.h */
const RLIMIT_DATA = 2;

/** Private memory that this process may write to, bytes, from now on (setrlimit(2), RLIMIT_DATA). @throws SysError */
export function limitMemory(bytes: number): void {
  const limit = new BigUint64Array([BigInt(bytes), BigInt(bytes)]);
  if (raw.setrlimit(RLIMIT_DATA, addressOf(new Uint8Array(limit.buffer))) !== 0) throw fail("setrlimit");
}
