/**
 * The guard: a process of its own that holds a machine and lets it go, for whoever started it. It does so when it is told,
 * when the time is over, on SIGTERM, and when the connection to its starter ends: so also when that one was killed.
 * It leads its own session, so that no signal to its starter's group reaches it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../../common/errors.js";
import { hold } from "./grip.js";
import type { Early, FromGuard, HoldLimits, ToGuard } from "./guard-messages.js";
import { forgetHeld, noteHeld } from "./held-notes.js";
import { letGo } from "./let-go.js";
import type { Grip, Released, Undo } from "./settings.js";

/** Nobody waits any more by then; an operator has read what to do. */
const GIVE_UP_MS = 600_000;

let limits: HoldLimits = { vm: "", stepTimeoutMs: 20_000, timeoutMs: 60_000 };
let undo: Undo | undefined;
let holding: AbortController | undefined;
let timer: NodeJS.Timeout | undefined;
let early: Early | undefined;
let ending: Promise<void> | undefined;

function tell(message: FromGuard): void {
  // Whoever is gone is not told; that it is gone is an event of its own.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Into the log of whoever started this, if that still takes anything. */
function log(text: string): void {
  process.stderr.write(`${limits.vm}: ${text}\n`);
}

async function take(message: ToGuard): Promise<void> {
  if (message.type === "release") return finish();
  limits = message;
  await takeHold(message.grip);
}

async function takeHold(grip: Grip): Promise<void> {
  const given = new AbortController();
  holding = given;
  try {
    const held = await hold(grip, { ...limits, signal: given.signal }, (next) => {
      noteHeldBy(next);
      undo = next;
      timer ??= setTimeout(() => void end("time"), limits.timeoutMs);
      tell({ type: "armed", undo: next });
    });
    if (given.signal.aborted) throw new Error("it took too long, or was not wanted any more");
    tell({ type: "held", held });
  } catch (error) {
    if ((await free()) !== undefined) {
      early = undefined;
      tell({ type: "failed", why: describeError(error) });
    }
  } finally {
    holding = undefined;
  }
}

function noteHeldBy(next: Undo): void {
  const { workingDirectory, vm, stepTimeoutMs } = limits;
  if (workingDirectory !== undefined) noteHeld(workingDirectory, { vm, stepTimeoutMs, undo: next });
}

/** Undoes what was done; what is said of it is for the caller. Undefined when it could not be done. */
async function free(): Promise<Released | undefined> {
  clearTimeout(timer);
  timer = undefined;
  if (undo === undefined) return { thawed: 0, kept: true, text: "" };
  const onTrouble = (why: string): void => {
    tell({ type: "trouble", why });
    log(`it could not be let go so far: ${why}; trying on`);
  };
  try {
    const released = await letGo(undo, limits, { limitMs: GIVE_UP_MS, onTrouble });
    undo = undefined;
    if (limits.workingDirectory !== undefined) forgetHeld(limits.workingDirectory, process.pid);
    return released;
  } catch (error) {
    log(`it could not be let go: ${describeError(error)}`);
    return undefined;
  }
}

async function finish(): Promise<void> {
  // Whoever takes hold sees that, and undoes it.
  if (holding !== undefined) return holding.abort();
  ending ??= (async () => {
    const released = await free();
    if (released === undefined) return;
    tell({ type: "released", released, early });
    if (!process.connected && released.text !== "") log(released.text);
  })();
  await ending;
}

function end(why: Early): Promise<void> {
  early ??= why;
  return finish();
}

async function endProcess(): Promise<void> {
  while (holding !== undefined) {
    holding.abort();
    await sleep(20);
  }
  await end("signal");
  process.exit(undo === undefined ? 0 : 1);
}

process.stderr.on("error", () => undefined);
process.on("message", (message: ToGuard) => void take(message));
process.on("disconnect", () => void endProcess());
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => void endProcess());
