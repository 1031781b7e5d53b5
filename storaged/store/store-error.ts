/** How failures of the operating system become the codes of the Store interface. */
import { BackupError } from "../../common/errors.js";

const CODES: Readonly<Record<string, string>> = {
  ENOSPC: "STORE_FULL",
  EDQUOT: "STORE_FULL",
  EFBIG: "STORE_FULL",
  EACCES: "STORE_DENIED",
  EPERM: "STORE_DENIED",
  EROFS: "STORE_DENIED",
  // O_NOFOLLOW on a symbolic link.
  ELOOP: "STORE_DENIED",
  ENOENT: "STORE_NOT_FOUND",
  ENOTDIR: "STORE_NOT_FOUND",
  EEXIST: "STORE_EXISTS",
};

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large for this file system or process limit",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ELOOP: "is a symbolic link",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EEXIST: "already exists",
  EIO: "input/output error",
};

/** A BackupError for what went wrong when `verb` was done to `path`; one that is one already passes through. */
export function storeError(verb: string, path: string, cause: unknown): BackupError {
  if (cause instanceof BackupError) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  const words = WORDS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  const kind = CODES[code] ?? "STORE_IO";
  return new BackupError(kind, `Cannot ${verb} ${path}: ${words}`, {
    context: { path, errno: code },
    retry: kind === "STORE_FULL" ? "later" : "never",
  });
}
