/** Holds a machine for the moment in which its disks are snapshotted, and lets it go whatever happens. */
import { BackupError, describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import { Guard, type LetGo } from "./guard.js";
import type { FreezeSettings, Grip, Held } from "./settings.js";

export interface FreezeTools {
  /** Takes lines for the job's report. */
  readonly report: (line: string) => void;
  /** Lets the machine go at once. */
  readonly signal?: AbortSignal | undefined;
  /** The file daemon's: what is held is noted there, for its next start. (Default: it is not noted) */
  readonly workingDirectory?: string | undefined;
}

export interface Frozen<T> {
  readonly value: T;
  /** All file systems of the guest were certainly frozen during the whole of the work: its agent said so afterwards. */
  readonly confirmed: boolean;
  /** What held the machine during the whole of the work: its frozen file systems, a pause, stopped services, or nothing. */
  readonly how: "guest" | "paused" | "services" | "no";
}

/**
 * Holds the machine by the first of the methods that does, runs `during`, and lets it go: also when `during` throws, when
 * the signal comes, when the time is over, and when this process is killed. Without a method that holds it, `during` runs
 * all the same, unless the settings say that it is required.
 * @throws what `during` threw; the signal's reason; BackupError FREEZE_REQUIRED before `during` was called; FREEZE_STUCK
 *   when the machine could not be let go: whatever `during` has made is then the caller's to remove
 */
export async function whileFrozen<T>(
  vm: string,
  settings: FreezeSettings,
  tools: FreezeTools,
  during: () => Promise<T>,
): Promise<Frozen<T>> {
  checkName(vm);
  tools.signal?.throwIfAborted();
  const grips = gripsOf(vm, settings);
  if (grips.length === 0) return { value: await during(), confirmed: false, how: "no" };
  const guard = Guard.start({
    vm,
    stepTimeoutMs: settings.stepTimeoutSec * 1000,
    timeoutMs: settings.timeoutSec * 1000,
    workingDirectory: tools.workingDirectory,
  });
  const stop = (): void => guard.giveUp();
  tools.signal?.addEventListener("abort", stop, { once: true });
  try {
    const held = await holdByAny(guard, grips, tools);
    if (held !== undefined) return await workWhileHeld(guard, held, { vm, settings, tools, during });
  } finally {
    tools.signal?.removeEventListener("abort", stop);
    guard.close();
  }
  tools.signal?.throwIfAborted();
  if (settings.required)
    throw new BackupError("FREEZE_REQUIRED", `${vm} could not be held, and its settings say Required: yes`);
  tools.report(`${vm} is not held: its disks are as after a power cut, and not simultaneous`);
  return { value: await during(), confirmed: false, how: "no" };
}

/** Undefined when none holds it. @throws BackupError FREEZE_STUCK; the signal's reason */
async function holdByAny(
  guard: Guard,
  grips: readonly (readonly [string, Grip])[],
  { report, signal }: FreezeTools,
): Promise<Held | undefined> {
  for (const [method, grip] of grips) {
    try {
      const held = await guard.hold(grip);
      report(held.text);
      return held;
    } catch (error) {
      if (error instanceof BackupError && error.code === "FREEZE_STUCK") throw error;
      signal?.throwIfAborted();
      report(`not held by ${method}: ${describeError(error)}`);
    }
  }
  return undefined;
}

interface Work<T> {
  readonly vm: string;
  readonly settings: FreezeSettings;
  readonly tools: FreezeTools;
  readonly during: () => Promise<T>;
}

async function workWhileHeld<T>(guard: Guard, held: Held, work: Work<T>): Promise<Frozen<T>> {
  const { tools } = work;
  const startMs = monotonicMs();
  let outcome: { readonly value: T } | { readonly error: unknown };
  try {
    tools.signal?.throwIfAborted();
    outcome = { value: await work.during() };
  } catch (error) {
    outcome = { error };
  }
  let end: LetGo;
  try {
    end = await guard.release();
  } catch (error) {
    if ("value" in outcome) throw error;
    tools.report(describeError(error));
    throw outcome.error;
  }
  const seconds = ((monotonicMs() - startMs) / 1000).toFixed(1);
  if (end.released.text !== "" && end.early === undefined)
    tools.report(`${end.released.text}, after ${seconds} s`);
  if ("error" in outcome) throw outcome.error;
  tools.signal?.throwIfAborted();
  const doubt = doubtOf(held, end, work);
  if (doubt !== undefined) {
    tools.report(`${doubt}: its disks are as after a power cut, and not simultaneous`);
    return { value: outcome.value, confirmed: false, how: "no" };
  }
  const { how, whole, frozen } = held;
  const confirmed = how === "guest" && whole && end.released.thawed >= frozen;
  if (how === "guest" && !confirmed)
    tools.report(`not every file system of ${work.vm} was certainly frozen: their journals will be replayed`);
  return { value: outcome.value, confirmed, how };
}

/** Why the machine was not held during the whole of the work. */
function doubtOf<T>(held: Held, { released, early }: LetGo, { vm, settings }: Work<T>): string | undefined {
  if (early === "time")
    return `${vm} was let go after ${settings.timeoutSec} s (Timeout), before the work was done`;
  if (early === "signal") return `${vm} was let go before the work was done, since its guard was ended`;
  if (held.how === "guest" && released.thawed === 0)
    return `${vm} was not frozen any more when it was to be thawed`;
  return released.kept ? undefined : `${vm} was let go by somebody else before the work was done`;
}

/** The ways that are complete; those after `none` are not tried. */
function gripsOf(vm: string, settings: FreezeSettings): (readonly [string, Grip])[] {
  const grips: (readonly [string, Grip])[] = [];
  for (const method of settings.methods) {
    if (method === "none") break;
    const grip = gripOf(method, vm, settings);
    if (grip !== undefined) grips.push([method, grip]);
  }
  return grips;
}

function gripOf(
  method: FreezeSettings["methods"][number],
  vm: string,
  settings: FreezeSettings,
): Grip | undefined {
  const named = (pattern: string): string => pattern.replaceAll("%n", vm);
  const { fileSystems, virsh } = settings;
  const libvirt = { virsh, uri: settings.libvirtUri, domain: named(settings.domain), fileSystems };
  switch (method) {
    case "agent":
      return { kind: "agent", socket: named(settings.agentSocket ?? ""), fileSystems };
    case "qmp":
      return { kind: "qmp", socket: named(settings.qmpSocket ?? "") };
    case "libvirt":
      return { kind: "libvirt", ...libvirt, pause: false };
    case "libvirt-pause":
      return { kind: "libvirt", ...libvirt, pause: true };
    case "command":
      return { kind: "command", services: settings.services, directories: settings.hookDirectories };
    case "none":
      return undefined;
  }
}

/** It becomes part of paths and of command lines. */
function checkName(vm: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]{0,126}$/.test(vm)) return;
  throw new BackupError("VALUE_INVALID", `${JSON.stringify(vm)} is not a machine's name`);
}
