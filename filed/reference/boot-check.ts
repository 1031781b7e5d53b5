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
    const off = runMachine(vm, console, run, limitMs).finally(() => over.abort(new Error("it is off")));
    // Whoever fails first tells why.
    const [machineEnd, agentEnd] = await Promise.allSettled([off, talk(agentSocket, limitMs, over, tools)]);
    signal.throwIfAborted();
    if (agentEnd.status === "fulfilled") return;
    if (machineEnd.status === "rejected" && machineEnd.reason !== over.signal.reason) throw machineEnd.reason;
    throw console.failure("REFERENCE_BOOT", `it does not boot: ${describeError(agentEnd.reason)}`, tools);
  } finally {
    over.abort(new Error("given up"));
    await console.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Waits for the agent, then asks it to power the machine off; a machine that does not is switched off. */
async function talk(
  socket: string,
  limitMs: number,
  over: AbortController,
  { name, report }: BootTools,
): Promise<void> {
  const { signal } = over;
  const beganMs = monotonicMs();
  const step = { vm: name, stepTimeoutMs: STEP_MS, signal };
  let why: unknown = "its guest agent was never asked";
  for (;;) {
    if (signal.aborted || monotonicMs() - beganMs > limitMs)
      throw new BackupError("REFERENCE_BOOT", `its guest agent does not answer (${describeError(why)})`);
    try {
      const version = await withAgent(socket, step, versionOf);
      const seconds = Math.round((monotonicMs() - beganMs) / 1000);
      report(
        "info",
        `Reference ${name}: booted, its guest agent ${version} answers after ${seconds} seconds`,
      );
      break;
    } catch (error) {
      why = error;
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  // It may be off before it answers.
  await withAgent(socket, step, (ask) => ask("guest-shutdown", { mode: "powerdown" })).catch(() => undefined);
}

async function versionOf(ask: AskAgent): Promise<string> {
  await ask("guest-ping");
  const info = (await ask("guest-info")) as { version?: unknown } | null;
  return typeof info?.version === "string" ? info.version.replace(/[^\w.+~-]/g, "").slice(0, 40) : "";
}
