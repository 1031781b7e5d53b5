/**
 * An agent may answer from this very machine: one that was started here by hand, or in a container. To freeze all file
 * systems there would freeze this program, and with it whatever could thaw them.
 */
import { readFileSync, statSync } from "node:fs";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { AgentRefusal, type AskAgent } from "./ask-agent.js";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** Why these file systems (none: all) of this agent are not frozen; undefined when nothing speaks against it. */
export async function hostTrouble(
  ask: AskAgent,
  fileSystems: readonly string[],
): Promise<string | undefined> {
  const here = await isThisMachine(ask);
  if (here === false) return undefined;
  if (fileSystems.length === 0) {
    return here === true
      ? "it runs on this machine, and not in a guest; the machine that makes backups is never frozen as a whole"
      : "it tells neither boot_id, file systems nor network interfaces, so it may run on this machine itself " +
          "(allow it guest-get-fsinfo, or name FileSystems)";
  }
  const needed = fileSystems.filter(isNeededHere);
  if (needed.length === 0) return undefined;
  return `it ${here ? "runs" : "may run"} on this machine, which needs ${needed.join(", ")} itself`;
}

/** Undefined when the agent tells nothing that would show it. */
async function isThisMachine(ask: AskAgent): Promise<boolean | undefined> {
  const bootId = await unlessRefused(() => bootIdOf(ask));
  if (bootId !== undefined) return bootId === readFileSync(BOOT_ID, "latin1").trim();
  const evidence = [
    await unlessRefused(async () => sameMounts(await ask("guest-get-fsinfo"))),
    await unlessRefused(async () => sameInterfaces(await ask("guest-network-get-interfaces"))),
    await unlessRefused(async () => sameName(await ask("guest-get-host-name"))),
  ].filter((each) => each !== undefined);
  if (evidence.includes(false)) return false;
  return evidence.length > 0 ? true : undefined;
}

async function unlessRefused<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AgentRefusal) return undefined;
    throw error;
  }
}

/** The number that a Linux kernel gives to each of its starts; containers share it. */
async function bootIdOf(ask: AskAgent): Promise<string | undefined> {
  const handle = await ask("guest-file-open", { path: BOOT_ID, mode: "r" });
  try {
    const read = (await ask("guest-file-read", { handle, count: 64 })) as { "buf-b64"?: unknown } | null;
    const text = Buffer.from(String(read?.["buf-b64"] ?? ""), "base64")
      .toString("latin1")
      .trim();
    return /^[0-9a-f-]{36}$/.test(text) ? text : undefined;
  } finally {
    await ask("guest-file-close", { handle });
  }
}

/** Every mount point that the agent tells is one here. */
function sameMounts(answer: unknown): boolean | undefined {
  if (!Array.isArray(answer) || answer.length === 0) return undefined;
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  const here = new Set(mounts.map((line) => line.split(" ")[4]));
  return answer.every((each: { mountpoint?: unknown } | null) => here.has(String(each?.mountpoint)));
}

function sameInterfaces(answer: unknown): boolean | undefined {
  if (!Array.isArray(answer)) return undefined;
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const here = new Set(own.map(({ mac }) => mac).filter(isAddress));
  const there = answer.map((each: { "hardware-address"?: unknown } | null) =>
    String(each?.["hardware-address"] ?? ""),
  );
  const addresses = new Set(there.filter(isAddress));
  if (here.size === 0 || addresses.size === 0) return undefined;
  return addresses.size === here.size && [...addresses].every((address) => here.has(address));
}

function isAddress(address: string): boolean {
  return address !== "" && address !== "00:00:00:00:00:00";
}

function sameName(answer: unknown): boolean | undefined {
  const name = (answer as { "host-name"?: unknown } | null)?.["host-name"];
  return typeof name === "string" ? name === hostname() : undefined;
}

/** Lies on a file system that this program could not do without. */
function isNeededHere(mountPoint: string): boolean {
  const device = deviceNumber(mountPoint);
  const places = ["/", "/usr", "/etc", "/var", "/run", "/dev", tmpdir(), process.cwd(), process.execPath];
  return (
    device === undefined || [...places, import.meta.dirname].some((place) => deviceNumber(place) === device)
  );
}

function deviceNumber(place: string): number | undefined {
  return statSync(place, { throwIfNoEntry: false })?.dev;
}
