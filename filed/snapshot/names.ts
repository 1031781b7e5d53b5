/** Names of virtual machines, and which disks are theirs. A machine's name comes from the director: it may say anything. */
import { BackupError } from "../../common/errors.js";

const VM_NAME = /^[A-Za-z0-9][A-Za-z0-9+_.-]{0,99}$/;
/** What logical volumes may be called, with the two signs of a pattern. */
const PATTERN = /^[A-Za-z0-9+_.%*-]+$/;

/** @throws BackupError VM_NAME_INVALID for what could be more than one name, a path, or a pattern */
export function checkVmName(vm: string): void {
  if (VM_NAME.test(vm)) return;
  const shown = JSON.stringify(vm.slice(0, 100));
  const rule = "letters, digits and + _ . - , a letter or digit first, at most 100";
  throw new BackupError("VM_NAME_INVALID", `${shown} is no name of a virtual machine (${rule})`);
}

/** Checks a Pattern as written. @throws Error */
export function checkPattern(pattern: string): string {
  const count = (sign: string): number => pattern.split(sign).length - 1;
  const why = !PATTERN.test(pattern)
    ? "has characters that no disk's name has"
    : count("%n") !== 1 || count("%") !== 1
      ? "needs %n once, for the machine's name"
      : count("*") > 1
        ? "has more than one *, which stands for the disk's number"
        : /%n\d*\*/.test(pattern)
          ? "needs a sign between %n and *: the disks of web and web1 would look alike"
          : undefined;
  if (why !== undefined) throw new Error(`"${pattern.slice(0, 100)}" ${why}`);
  return pattern;
}

/**
 * Which names are a machine's disks: gives the number of one, or undefined for what is none. `*` stands for digits alone, so
 * that no machine's pattern takes in disks of another one, whatever that is called. `endings` may follow.
 */
export function diskNumbers(pattern: string, vm: string, endings = ""): (name: string) => number | undefined {
  const literal = (text: string): string => text.replace(/[.+]/g, "\\$&");
  const expression = pattern
    .split(/(%n|\*)/)
    .map((part) => (part === "%n" ? literal(vm) : part === "*" ? "(\\d{1,6})" : literal(part)))
    .join("");
  const whole = new RegExp(`^${expression}${endings}$`);
  return (name) => {
    const match = whole.exec(name);
    return match === null ? undefined : Number(match[1] ?? 1);
  };
}

/** What a snapshot is called. */
export const snapshotName = (origin: string): string => `snap_${origin}`;
