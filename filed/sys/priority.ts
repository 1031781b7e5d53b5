/** CPU and disk priority of the calling thread, for jobs with `Nice` and `IoNice`. */
import { BackupError } from "../../common/errors.js";
import { fail, raw } from "../../common/sys/native.js";

const PRIO_PROCESS = 0;
const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_SET: Readonly<Record<string, number>> = {
  x64: 251,
  arm64: 30,
  ppc64: 273,
  s390x: 282,
  riscv64: 30,
};
const CLASSES: Readonly<Record<string, number>> = {
  realtime: 1,
  "best-effort": 2,
  idle: 3,
  "1": 1,
  "2": 2,
  "3": 3,
};

/** Value for ioprio_set: class in the upper bits, level 0 (first) to 7 below. */
export interface IoPriority {
  ioClass: number;
  level: number;
}

/**
 * Reads `idle`, `best-effort`, `best-effort:7`, `realtime:0`, or ionice's numbers (`3`, `2:7`). "" is undefined.
 * @throws BackupError VALUE_INVALID
 */
export function parseIoNice(text: string): IoPriority | undefined {
  const word = text.trim().toLowerCase();
  if (word === "") return undefined;
  const match = /^([a-z-]+|[123])(?::([0-7]))?$/.exec(word);
  const ioClass = CLASSES[match?.[1] ?? ""];
  if (match === null || ioClass === undefined) {
    throw new BackupError("VALUE_INVALID", `"${text}" is not an IoNice (such as idle, best-effort:7)`);
  }
  return { ioClass, level: ioClass === 3 ? 0 : Number(match[2] ?? 4) };
}

/** Sets the calling thread's nice value (0..19; Linux keeps it per thread). @throws SysError */
export function setNice(nice: number): void {
  if (raw.setpriority(PRIO_PROCESS, 0, nice) !== 0) throw fail("setpriority");
}

/** Sets the calling thread's disk priority. @throws SysError; does nothing on architectures not listed above */
export function setIoNice(priority: IoPriority): void {
  const number = IOPRIO_SET[process.arch];
  if (number === undefined) return;
  const value = priority.ioClass * 0x2000 + priority.level;
  if (raw.syscall3(number, IOPRIO_WHO_PROCESS, 0, value) !== 0) throw fail("ioprio_set");
}
