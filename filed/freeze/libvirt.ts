/** The same through libvirt, for machines whose sockets it holds itself: by its program virsh. */
import { BackupError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { programEnvironment } from "../hooks/hooks.js";
import { shown } from "./ask-agent.js";
import type { Held, Released, StepTools } from "./settings.js";

export interface LibvirtTarget {
  readonly virsh: string;
  readonly uri: string;
  readonly domain: string;
  /** Through the guest's agent, or by standing still. */
  readonly pause: boolean;
}

/** Freezes or pauses; `arm` is called before anything is changed. @throws BackupError FREEZE_FAILED */
export async function holdByLibvirt(
  target: LibvirtTarget & { readonly fileSystems: readonly string[] },
  tools: StepTools,
  arm: () => void,
): Promise<Held> {
  const state = await virsh(target, tools, "domstate");
  if (state !== "running") {
    if (state === "shut off" || state === "paused")
      return { how: "paused", frozen: 0, whole: false, text: `the machine does not run (${state})` };
    throw libvirtFailed(`the machine is in the state "${shown(state)}"`);
  }
  if (target.pause) {
    arm();
    await virsh(target, tools, "suspend");
    return { how: "paused", frozen: 0, whole: false, text: "libvirt has paused the machine" };
  }
  if ((await guestState(target, tools)) !== "thawed")
    throw libvirtFailed("its file systems are frozen already, by somebody else; that is left alone");
  arm();
  const { fileSystems } = target;
  const frozen = count(await virsh(target, tools, "domfsfreeze", ...mountPoints(fileSystems)), "Froze");
  if (frozen === 0) throw libvirtFailed("no file system of the guest was frozen");
  const text = `libvirt has frozen ${frozen} file systems of the guest`;
  return { how: "guest", frozen, whole: fileSystems.length === 0, text };
}

/** Thaws or lets go on; a machine that has ended is let go. @throws BackupError FREEZE_FAILED when that was not done */
export async function releaseByLibvirt(target: LibvirtTarget, tools: StepTools): Promise<Released> {
  try {
    return await (target.pause ? resume(target, tools) : thaw(target, tools));
  } catch (error) {
    if (await runs(target, tools)) throw error;
    return { thawed: 0, kept: false, text: "the machine has ended" };
  }
}

async function thaw(target: LibvirtTarget, tools: StepTools): Promise<Released> {
  try {
    const thawed = count(await virsh(target, tools, "domfsthaw"), "Thawed");
    return { thawed, kept: thawed > 0, text: `libvirt has thawed ${thawed} file systems of the guest` };
  } catch (error) {
    // A guest that has refused the one may refuse the other.
    if ((await guestState(target, tools)) !== "thawed") throw error;
    return { thawed: 0, kept: false, text: "the guest is not frozen" };
  }
}

async function resume(target: LibvirtTarget, tools: StepTools): Promise<Released> {
  const before = await virsh(target, tools, "domstate");
  if (before !== "paused")
    return { thawed: 0, kept: false, text: `the machine was ${shown(before)} already` };
  await virsh(target, tools, "resume");
  return { thawed: 0, kept: true, text: "libvirt lets the machine go on" };
}

/** What the guest's agent says; also one that may not freeze answers. */
async function guestState(target: LibvirtTarget, tools: StepTools): Promise<unknown> {
  const said = await virsh(target, tools, "qemu-agent-command", '{"execute":"guest-fsfreeze-status"}');
  try {
    return (JSON.parse(said) as { return?: unknown }).return;
  } catch {
    throw libvirtFailed(`the guest's agent says "${shown(said)}"`);
  }
}

/** Also when that cannot be told. */
async function runs(target: LibvirtTarget, tools: StepTools): Promise<boolean> {
  try {
    return (await call(target, tools, ["list", "--name"])).includes(target.domain);
  } catch {
    return true;
  }
}

function mountPoints(fileSystems: readonly string[]): string[] {
  return fileSystems.flatMap((each) => ["--mountpoint", each]);
}

/** What it prints about the domain. */
async function virsh(
  target: LibvirtTarget,
  tools: StepTools,
  command: string,
  ...more: string[]
): Promise<string> {
  return (await call(target, tools, [command, "--domain", target.domain, ...more])).join(" ");
}

/** Lines that it prints. */
async function call(target: LibvirtTarget, tools: StepTools, words: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const { stepTimeoutMs: timeoutMs, signal } = tools;
  const result = await runCommand({
    words: [target.virsh, "--quiet", "--connect", target.uri, ...words],
    env: { ...programEnvironment(), LANG: "C", LC_ALL: "C" },
    timeoutMs,
    graceMs: 1000,
    signal,
    cwd: "/",
    maxLines: 10_000,
    onLine: (line) => lines.push(line.trim()),
  });
  const said = lines.filter((line) => line !== "");
  const failure = describeFailure(result, timeoutMs);
  if (failure === undefined) return said;
  const why = said.length === 0 ? failure : shown(said.join(" "));
  throw new BackupError("FREEZE_FAILED", `virsh ${words[0]} ${target.domain}: ${why}`);
}

function libvirtFailed(why: string): BackupError {
  return new BackupError("FREEZE_FAILED", `libvirt: ${why}`);
}

/** `Froze 2 filesystem(s)` */
function count(said: string, word: string): number {
  const found = new RegExp(`^${word} (\\d+) filesystem`).exec(said);
  if (found !== null) return Number(found[1]);
  throw new BackupError(
    "FREEZE_FAILED",
    `virsh says "${shown(said)}" where "${word} … filesystem(s)" was expected`,
  );
}
