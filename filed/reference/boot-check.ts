/**
 * Whether what was built boots: it is started from a throw-away copy, its guest agent must answer within the time limit,
 * and it must power off when it is asked to. It has no network meanwhile.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import { type AskAgent, withAgent } from "../freeze/ask-agent.js";
import { ConsoleLog } from "./console-log.js";
import { makeImageOf } from "./disk.js";
import { newestKernel } from "./kernels.js";
import { type BuildTools, runStep } from "./programs.js";
import type { BootCheckSettings, KernelSettings, PlaceSettings } from "./settings.js";
import { runMachine } from "./virtual-machine.js";

/** One question to the agent. */
const STEP_MS = 10_000;
const PAUSE_MS = 1000;
/** From the question to its being off. */
const POWER_OFF_MS = 120_000;
const MIB = 1024 ** 2;

export type BootTools = BuildTools & { scratch: string; consoleFile: string };

/**
 * Boots `built`.
 * @throws BackupError REFERENCE_BOOT when the agent does not answer; REFERENCE_KERNEL, and as `runMachine`
 */
export async function checkBoot(
  settings: BootCheckSettings,
  { kind, path: built }: PlaceSettings,
  tools: BootTools,
): Promise<void> {
  const boot = settings.boot ?? (kind === "directory" ? await newestKernel(built) : undefined);
  if (kind === "image") return bootImage(settings, built, boot, tools);
  const image = `${built}.boot`;
  try {
    await rm(image, { force: true });
    await makeImageOf(
      built,
      { file: image, sizeBytes: await imageBytes(built, tools), partitioned: false },
      tools,
    );
    await bootImage(settings, image, boot, tools);
  } finally {
    await rm(image, { force: true });
  }
}

/** Enough for the tree, and room for what a start writes. */
async function imageBytes(tree: string, tools: BuildTools): Promise<number> {
  let said = "";
  const report = (_: string, text: string): void => {
    said = text;
  };
  await runStep({ ...tools, report }, { words: ["du", "-s", "--block-size=1M", "--", tree] });
  const mebibytes = Number(/: (\d+)\s/.exec(said)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(mebibytes))
    throw new BackupError("REFERENCE_FAILED", `reference machine "${tools.name}": du has said "${said}"`);
  return Math.ceil(mebibytes * 1.25 + 256) * MIB;
}

async function bootImage(
  { machine, append, timeLimitSec }: BootCheckSettings,
  disk: string,
  kernel: KernelSettings | undefined,
  tools: BootTools,
): Promise<void> {
  const { name, report, signal, scratch } = tools;
  report("info", `Reference ${name}: boot check with ${kernel?.kernel ?? "its own boot loader"}`);
  const directory = await mkdtemp(path.join(tmpdir(), "basalt-boot-"));
  const console = await ConsoleLog.open(tools.consoleFile);
  const over = new AbortController();
  let ended: Promise<unknown> | undefined;
  try {
    const agentSocket = path.join(directory, "agent");
    const boot = kernel === undefined ? undefined : { ...kernel, append };
    const vm = { machine, disk, throwAway: true, boot, network: false, agentSocket, scratch };
    const limitMs = timeLimitSec * 1000;
    const run = {
      ...tools,
      signal: AbortSignal.any([signal, over.signal]),
      doing: "booting reference machine",
    };
    const off = runMachine(vm, console, run, limitMs + POWER_OFF_MS);
    ended = off
      .finally(() => over.abort(new Error("it was off before its guest agent answered")))
      .catch(() => undefined);
    try {
      await untilAnswered(agentSocket, limitMs, over.signal, tools);
    } catch (error) {
      signal.throwIfAborted();
      // QEMU that failed, or a panic, is the reason; a machine that is off although nobody asked it is none.
      if (over.signal.aborted) await off;
      throw console.failure("REFERENCE_BOOT", `it does not boot: ${describeError(error)}`, tools);
    }
    if (!(await powersOff(agentSocket, ended, over.signal, name)))
      report("warning", `Reference ${name}: booted, but it does not power off; it was switched off`);
  } finally {
    over.abort(new Error("given up"));
    await ended;
    await console.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** @throws Error when the time is over, or the machine is off */
async function untilAnswered(
  socket: string,
  limitMs: number,
  signal: AbortSignal,
  { name, report }: BootTools,
): Promise<void> {
  const beganMs = monotonicMs();
  const seconds = (): number => Math.round((monotonicMs() - beganMs) / 1000);
  for (;;) {
    try {
      const version = await withAgent(socket, { vm: name, stepTimeoutMs: STEP_MS, signal }, versionOf);
      const text = `booted, its guest agent ${version} answers after ${seconds()} seconds`;
      return report("info", `Reference ${name}: ${text}`);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (monotonicMs() - beganMs > limitMs)
        throw new Error(
          `its guest agent does not answer within ${seconds()} seconds (${describeError(error)})`,
        );
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Asks the agent for it; true when the machine is off soon after. */
async function powersOff(
  socket: string,
  ended: Promise<unknown>,
  signal: AbortSignal,
  vm: string,
): Promise<boolean> {
  // It may be off before it answers.
  const asked = withAgent(socket, { vm, stepTimeoutMs: STEP_MS, signal }, (ask) =>
    ask("guest-shutdown", { mode: "powerdown" }),
  ).catch(() => undefined);
  await asked;
  const waiting = new AbortController();
  const late = sleep(POWER_OFF_MS, false, { signal: waiting.signal }).catch(() => false);
  const off = await Promise.race([ended.then(() => true), late]);
  waiting.abort();
  return off;
}

async function versionOf(ask: AskAgent): Promise<string> {
  await ask("guest-ping");
  const info = (await ask("guest-info")) as { version?: unknown } | null;
  return typeof info?.version === "string" ? info.version.replace(/[^\w.+~-]/g, "").slice(0, 40) : "";
}
