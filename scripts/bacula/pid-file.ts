/** `PIDDIR/bacula-dir.9101.pid`: who runs, for start scripts. */

import { closeSync, constants, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { BackupError, describeError } from "../../common/errors.js";

const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;

/** @throws BackupError ALREADY_RUNNING when a process of that number is there, WORKING_DIRECTORY */
export function writePidFile(file: string, program: string): void {
  checkPidFile(file, program);
  try {
    // Root writes it, and the directory may be somebody else's, who could have put a link to any file there.
    const fd = openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o640);
    writeSync(fd, `${process.pid}\n`);
    closeSync(fd);
  } catch (cause) {
    throw new BackupError("WORKING_DIRECTORY", `cannot write the PID file ${describeError(cause)}`);
  }
}

/** @throws BackupError ALREADY_RUNNING */
export function checkPidFile(file: string, program: string): void {
  const pid = existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : Number.NaN;
  if (Number.isNaN(pid) || pid <= 1 || pid === process.pid || !runs(pid)) return;
  throw new BackupError("ALREADY_RUNNING", `${program} is already running. pid=${pid}\nCheck file ${file}`);
}

/** Removes it when it is still that of the process. */
export function removePidFile(file: string, pid: number | undefined = process.pid): void {
  try {
    if (Number.parseInt(readFileSync(file, "utf8"), 10) === pid) rmSync(file);
  } catch {
    // Gone already, or in a directory that belongs to root: the next start looks whether the process is there.
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
