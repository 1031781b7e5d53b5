/** Daemons that outlive the program that starts them. */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Daemon, Installation } from "../helpers/installation.js";
import { REPOSITORY } from "../helpers/root.js";

/** Starts one daemon of an installation in a session of its own, its output in `log/`; resolves to its process id. */
export async function startDetached(installation: Installation, daemon: Daemon): Promise<number> {
  const folder = join(installation.dir, "log");
  mkdirSync(folder, { recursive: true });
  const log = openSync(join(folder, `${daemon}.log`), "a");
  const args = [daemon, "-c", join(installation.dir, `${daemon}.yaml`)];
  const child = spawn(join(REPOSITORY, "basalt"), args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  // A daemon that cannot start says why and ends within moments.
  await sleep(1500);
  if (child.exitCode !== null) {
    throw new Error(`${daemon} did not start:\n${readFileSync(join(folder, `${daemon}.log`), "utf8")}`);
  }
  child.unref();
  return child.pid!;
}

/** True when the process runs and is a Basalt daemon: a number may belong to somebody else by now. */
function isDaemon(pid: number, daemon: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    return words.includes(daemon) && words.some((word) => word.endsWith("cli.js"));
  } catch {
    return false;
  }
}

/** Ends the daemons of an earlier demonstration, if they still run. */
export async function endEarlier(pids: Record<string, number>): Promise<void> {
  const left = (): [string, number][] =>
    Object.entries(pids).filter(([daemon, pid]) => isDaemon(pid, daemon));
  for (const [, pid] of left()) process.kill(pid, "SIGTERM");
  for (let tenths = 0; tenths < 150 && left().length > 0; tenths++) await sleep(100);
  for (const [, pid] of left()) process.kill(pid, "SIGKILL");
}
