/**
 * The example's four daemons in one process, under one clock that stands where the test puts it and goes on from there as
 * jobs run: daemons.js START STORAGED FILED FILED DIRECTOR. START is the clock's first moment, then the configurations.
 *
 * The parent sends moments (ms); each is answered when the clock has come there in steps that the schedules take for
 * the ordinary course of time, and every job that began on the way has ended. The end of the parent ends the daemons.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs, nowMs, setClock } from "../../../common/time.js";
import type { Director } from "../../../director/director.js";
import { runDirector } from "../../../director/main.js";
import { runFiled } from "../../../filed/main.js";
import { runStoraged } from "../../../storaged/main.js";

const QUARTER_MS = 15 * 60_000;

const [start, storaged = "", kvm = "", backup = "", director = ""] = process.argv.slice(2);
const end = new AbortController();
const { signal } = end;

function setMoment(moment: number): void {
  const from = monotonicMs();
  setClock(() => moment + Math.floor(monotonicMs() - from));
}

/** Resolves when the schedules have been looked at up to the moment, and what they started has ended. */
async function settled(running: Director, moment: number): Promise<void> {
  while (running.db.counter("scheduled_to_ms") < moment) await sleep(1);
  await running.queue.waitIdle(signal);
}

async function goTo(running: Director, moment: number): Promise<void> {
  while (nowMs() < moment) {
    const next = Math.min(moment, (Math.floor(nowMs() / QUARTER_MS) + 1) * QUARTER_MS);
    setMoment(next);
    await settled(running, next);
  }
}

setMoment(Number(start));
process.on("disconnect", () => end.abort());

const serving = <T>(run: (ready: (value: T) => void) => Promise<number>): Promise<T> =>
  new Promise((resolve, reject) => {
    run(resolve).then(
      (code) => (code === 0 ? undefined : reject(new Error(`a daemon ended with ${code}`))),
      reject,
    );
  });

await serving<number>((onReady) => runStoraged({ configFile: storaged, signal, onReady }));
for (const configFile of [kvm, backup])
  await serving<number>((onReady) => runFiled({ configFile, signal, onReady }));
const running = await serving<Director>((ready) =>
  runDirector({ configFile: director, signal, onReady: (_port, opened) => ready(opened) }),
);

process.on("message", (moment: number) => {
  goTo(running, moment).then(
    () => process.send?.({ reached: moment }),
    (error: Error) => process.send?.({ failed: error.stack }),
  );
});
process.send?.({ reached: Number(start) });
