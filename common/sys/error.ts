/** Failures of system calls, in the shape of Node's own (`code`, `syscall`, `errno`). */
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

const CODES = new Map<number, string>();
for (const [code, number] of Object.entries(constants.errno)) if (!CODES.has(number)) CODES.set(number, code);
CODES.set(constants.errno.EAGAIN, "EAGAIN");
// Linux numbers that Node does not name: a damaged file system, a stale network file handle, no room in a quota.
for (const [number, code] of [
  [117, "EUCLEAN"],
  [116, "ESTALE"],
  [122, "EDQUOT"],
  [121, "EREMOTEIO"],
  [123, "ENOMEDIUM"],
] as const) {
  if (!CODES.has(number)) CODES.set(number, code);
}

/** Made anew by every call, which is too slow for each failure. */
const TEXTS = getSystemErrorMap();

const EXTRA_TEXT: Readonly<Record<string, string>> = {
  EUCLEAN: "file system is damaged (structure needs cleaning)",
  ESTALE: "stale file handle",
  EDQUOT: "disk quota exceeded",
  ENODATA: "no data available",
  EREMOTEIO: "remote input/output error",
};

/** A failed system call; `code` is the symbolic errno, such as "EACCES". */
export class SysError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly errno: number;

  constructor(code: string, syscall: string, errno: number) {
    super(TEXTS.get(-errno)?.[1] ?? EXTRA_TEXT[code] ?? `${syscall} failed: ${code}`);
    this.name = "SysError";
    this.code = code;
    this.syscall = syscall;
    this.errno = errno;
  }

  static of(errno: number, syscall: string): SysError {
    return new SysError(CODES.get(errno) ?? `E${errno}`, syscall, errno);
  }
}
