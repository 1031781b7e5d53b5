/**
 * Processes that can be recognized later, also by others: number, time of start and boot. Another process of the same number
 * is not taken for it.
 */
import { readFileSync } from "node:fs";

/** `PID.START.BOOT` of this process. */
export function ownProcess(): string {
  return identityOf("self") ?? `${process.pid}.0.${boot()}`;
}

/** Whether the process of an identity still runs. */
export function processLives(identity: string): boolean {
  const pid = /^\d{1,10}(?=\.\d+\.[0-9a-f]+$)/.exec(identity)?.[0];
  return pid !== undefined && identityOf(pid) === identity;
}

function identityOf(pid: string): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses, which may hold anything. Behind it the third field begins.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  return `${stat.slice(0, stat.indexOf(" "))}.${fields[19]}.${boot()}`;
}

let known: string | undefined;

function boot(): string {
  known ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").slice(0, 8);
  return known;
}
