/**
 * Pauses a machine by QEMU's monitor: its processors stand still, so that its disks are what they were at one instant.
 * What the guest had not written yet is missing there: as after a power cut. Source: QEMU, docs/interop/qmp-spec.
 */
import { BackupError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import { shown } from "./ask-agent.js";
import { GARBAGE, JsonSocket } from "./json-socket.js";
import type { Held, Released, StepTools } from "./settings.js";

type AskMonitor = (command: string) => Promise<unknown>;

/** States of a machine whose processors run. */
const RUNNING = ["running"];

/** Pauses; `arm` is called before, unless the machine stands still already. @throws BackupError FREEZE_FAILED */
export async function pauseByQmp(path: string, tools: StepTools, arm: () => void): Promise<Held> {
  return withMonitor(path, tools, async (ask) => {
    const before = await stateOf(ask);
    const held = { how: "paused", frozen: 0, whole: false } as const;
    if (!RUNNING.includes(before)) return { ...held, text: `the machine does not run (${shown(before)})` };
    arm();
    await ask("stop");
    const state = await stateOf(ask);
    if (state !== "paused") throw failed(`the machine is "${shown(state)}" after stop`);
    return { ...held, text: "the machine is paused" };
  });
}

/** Lets a paused machine go on. @throws BackupError FREEZE_FAILED when it does not run then */
export async function continueByQmp(path: string, tools: StepTools): Promise<Released> {
  return withMonitor(path, tools, async (ask) => {
    const before = await stateOf(ask);
    if (before === "paused") await ask("cont");
    const state = before === "paused" ? await stateOf(ask) : before;
    if (state === "paused") throw failed("the machine is still paused after cont");
    const kept = before === "paused";
    return {
      thawed: 0,
      kept,
      text: kept ? "the machine goes on" : `the machine was ${shown(before)} already`,
    };
  });
}

async function stateOf(ask: AskMonitor): Promise<string> {
  const answer = (await ask("query-status")) as { status?: unknown } | null;
  if (typeof answer?.status === "string") return answer.status;
  throw failed("it does not tell the machine's state");
}

async function withMonitor<T>(
  path: string,
  { stepTimeoutMs, signal }: StepTools,
  work: (ask: AskMonitor) => Promise<T>,
): Promise<T> {
  const socket = await JsonSocket.open(path, stepTimeoutMs, signal);
  let number = 0;
  const ask: AskMonitor = async (command) => {
    const id = `basalt-${++number}`;
    socket.send({ execute: command, id });
    const untilMs = monotonicMs() + stepTimeoutMs;
    for (;;) {
      const line = await socket.next(untilMs, command);
      if (line === GARBAGE) throw failed(`what it answers to ${command} is no JSON object`);
      // Between question and answer there may be events.
      if (line.value.id !== id) continue;
      if (Object.hasOwn(line.value, "return")) return line.value.return;
      const { desc } = (line.value.error ?? {}) as { desc?: unknown };
      throw failed(`it refuses ${command}: ${shown(String(desc ?? "no reason given"))}`);
    }
  };
  try {
    const greeting = await socket.next(monotonicMs() + stepTimeoutMs, "the connection");
    if (greeting === GARBAGE || greeting.value.QMP === undefined) throw failed("it is no QMP monitor");
    await ask("qmp_capabilities");
    return await work(ask);
  } finally {
    socket.close();
  }
}

function failed(why: string): BackupError {
  return new BackupError("FREEZE_FAILED", `QMP monitor: ${why}`);
}
