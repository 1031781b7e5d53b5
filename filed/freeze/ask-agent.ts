/**
 * Questions to the QEMU guest agent. Every connection begins with `guest-sync-delimited`, since the one before may have
 * left an answer unread. A connection is never kept: QEMU gives its end of the channel to one client at a time, and whoever
 * thaws must get in. Source of the commands: QEMU, qga/qapi-schema.json.
 */
import { randomInt } from "node:crypto";
import { BackupError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import { GARBAGE, JsonSocket } from "./json-socket.js";
import type { StepTools } from "./settings.js";

/** Asks one command; the limit of a step is its own. @throws BackupError FREEZE_FAILED */
export type AskAgent = (command: string, args?: object) => Promise<unknown>;

/** An agent that says an error instead of doing what it was asked. */
export class AgentRefusal extends BackupError {
  constructor(command: string, why: string) {
    super("FREEZE_FAILED", `the guest agent refuses ${command}: ${why}`);
  }
}

/** Connects, synchronizes, works, closes. */
export async function withAgent<T>(
  path: string,
  { stepTimeoutMs, signal }: StepTools,
  work: (ask: AskAgent) => Promise<T>,
): Promise<T> {
  const socket = await JsonSocket.open(path, stepTimeoutMs, signal);
  try {
    await synchronize(socket, stepTimeoutMs);
    return await work(async (command, args) => {
      socket.send({ execute: command, ...(args === undefined ? {} : { arguments: args }) });
      const line = await socket.next(monotonicMs() + stepTimeoutMs, command);
      if (line === GARBAGE) throw agentFailed(`what it answers to ${command} is no JSON object`);
      if (Object.hasOwn(line.value, "return")) return line.value.return;
      const { desc } = (line.value.error ?? {}) as { desc?: unknown };
      if (typeof desc !== "string")
        throw agentFailed(`what it answers to ${command} is neither a result nor an error`);
      throw new AgentRefusal(command, shown(desc));
    });
  } finally {
    socket.close();
  }
}

/** Everything up to the answer with our number is what earlier clients left. */
async function synchronize(socket: JsonSocket, limitMs: number): Promise<void> {
  const id = randomInt(1, 2 ** 31);
  socket.send({ execute: "guest-sync-delimited", arguments: { id } }, [0xff]);
  const untilMs = monotonicMs() + limitMs;
  for (;;) {
    const line = await socket.next(untilMs, "guest-sync-delimited");
    if (line !== GARBAGE && line.delimited && line.value.return === id) return;
  }
}

export function agentFailed(why: string): BackupError {
  return new BackupError("FREEZE_FAILED", `guest agent: ${why}`);
}

/** Text of the guest's, fit for a report. */
export function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 200);
}
