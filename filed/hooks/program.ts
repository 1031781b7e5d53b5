/**
 * Which program a hook may start: one inside the directories that filed's own configuration names, found after all
 * symlinks are resolved, and which nobody but root and this daemon's user can have put there.
 */
import { accessSync, constants, realpathSync, type Stats, statSync } from "node:fs";
import path from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";

/**
 * Absolute real path of the program to start for a command's first word: an absolute path, or a bare name that is
 * looked up in the directories.
 * @throws BackupError HOOK_FORBIDDEN naming the program and why.
 */
export function resolveProgram(word: string, directories: readonly string[]): string {
  const forbidden = (why: string): BackupError =>
    new BackupError("HOOK_FORBIDDEN", `the file daemon does not run ${word}: ${why}`);
  if (directories.length === 0) throw forbidden("its configuration names no HookDirectories");
  const real = path.isAbsolute(word) ? realPath(word) : lookUp(word, directories);
  if (real === undefined) {
    throw forbidden(
      path.isAbsolute(word) || !word.includes("/") ? "no such program" : "give an absolute path",
    );
  }
  const home = directories
    .map(realPath)
    .find((directory) => directory !== undefined && real.startsWith(`${directory.replace(/\/$/, "")}/`));
  if (home === undefined) throw forbidden(`it lies outside of ${directories.join(", ")} (HookDirectories)`);
  for (let place = real; ; place = path.dirname(place)) {
    const problem = whoElseMayWrite(place);
    if (problem !== undefined) throw forbidden(`${place} ${problem}`);
    if (place === home) break;
  }
  if (!statSync(real).isFile()) throw forbidden("it is no regular file");
  try {
    accessSync(real, constants.X_OK);
  } catch {
    throw forbidden("it is not executable");
  }
  return real;
}

function lookUp(name: string, directories: readonly string[]): string | undefined {
  if (name.includes("/") || name === "." || name === "..") return undefined;
  for (const directory of directories) {
    const found = realPath(path.join(directory, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return undefined;
    throw new BackupError("HOOK_FORBIDDEN", `the file daemon does not run ${file}: ${describeError(cause)}`);
  }
}

/** Why it is not only root and this daemon who decide what is there; undefined when it is. */
export function whoElseMayWrite(place: string): string | undefined {
  let stats: Stats;
  try {
    stats = statSync(place);
  } catch (cause) {
    return describeError(cause);
  }
  if ((stats.mode & 0o022) !== 0) return "may be written by its group or by others";
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) return `belongs to uid ${stats.uid}, not to root`;
  return undefined;
}
