/** A director of a large site: how long it takes to start, and to answer `status director` in an open console. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ConsoleSession } from "../../test/helpers/console-session.js";
import { Installation } from "../../test/helpers/installation.js";
import { freePortBase, portAnswers } from "../../test/helpers/ports.js";
import { REPOSITORY } from "../../test/helpers/root.js";
import { writeSite } from "../many-machines.js";
import { beginCost } from "../measure.js";
import type { Setting } from "../rounds.js";

const CLIENTS = 500;
const JOBS_PER_CLIENT = 4;
const START_GOAL_MS = 2000;
const STATUS_GOAL_MS = 200;
/** `status director` is asked for so often; the slowest counts. */
const QUESTIONS = 10;
const POLL_MS = 5;

/** One repetition: no daemon but the director runs, as after a power cut when nothing else is up yet. */
export async function directorPhase(setting: Setting): Promise<void> {
  const dir = join(setting.dir, "work", "director");
  rmSync(dir, { recursive: true, force: true });
  const installation = await Installation.create(dir, { name: "site", portBase: await freePortBase(6) });
  const { portBase } = installation;
  const storagePorts = [3, 4, 5].map((offset) => portBase + offset);
  writeSite(dir, { clients: CLIENTS, jobsPerClient: JOBS_PER_CLIENT, storagePorts });
  setting.facts.add(
    `director: ${CLIENTS} clients, ${CLIENTS * JOBS_PER_CLIENT} jobs, 4 storages; ${CLIENTS + 1} files`,
  );
  // The first start makes the database.
  for (const isFirst of [true, false]) await startAndAsk(setting, dir, { portBase, isFirst });
  rmSync(dir, { recursive: true, force: true });
}

async function startAndAsk(
  setting: Setting,
  dir: string,
  { portBase, isFirst }: { portBase: number; isFirst: boolean },
): Promise<void> {
  const begun = performance.now();
  const args = ["director", "-c", join(dir, "director.yaml")];
  const child = spawn(join(REPOSITORY, "basalt"), args, { stdio: "ignore" });
  try {
    const cost = beginCost(child.pid!);
    while (!(await portAnswers(portBase))) {
      if (child.exitCode !== null) throw new Error(`the director ended with status ${child.exitCode}`);
      await sleep(POLL_MS);
    }
    const startMs = performance.now() - begun;
    const { cpuSeconds } = cost();
    const what = isFirst ? "director: first start" : "director: start";
    judge(setting, what, { ms: startMs, goalMs: START_GOAL_MS, also: `, CPU ${cpuSeconds.toFixed(2)} s` });
    if (!isFirst) await ask(setting, dir, child.pid!);
  } finally {
    await ended(child);
  }
}

async function ask(setting: Setting, dir: string, pid: number): Promise<void> {
  const session = new ConsoleSession(join(dir, "console.yaml"));
  try {
    const took: number[] = [];
    const cost = beginCost(pid);
    for (let number = 0; number < QUESTIONS; number++) {
      const [from, done] = [session.output.length, `answered-${number}`];
      session.send(`@echo begin-${number}`);
      await session.waitFor(new RegExp(`^begin-${number}`, "m"), { from, timeoutMs: 30_000 });
      const begun = performance.now();
      session.send("status director", `@echo ${done}`);
      await session.waitFor(new RegExp(`^${done}`, "m"), { from, timeoutMs: 30_000 });
      took.push(performance.now() - begun);
    }
    const { peakRssBytes } = cost();
    setting.facts.add(`director: resident at most ${(peakRssBytes / 1e6).toFixed(0)} MB`);
    const what = `director: slowest of ${QUESTIONS} status director`;
    judge(setting, what, { ms: Math.max(...took), goalMs: STATUS_GOAL_MS, also: "" });
  } finally {
    await session.close();
  }
}

function judge(
  setting: Setting,
  what: string,
  { ms, goalMs, also }: { ms: number; goalMs: number; also: string },
): void {
  const [reached, goal] = [`${ms.toFixed(0)} ms${also}`, `<= ${goalMs} ms`];
  console.error(`  ${what}: ${reached}`);
  const named = `${what}, repetition ${setting.repetition + 1}`;
  setting.verdicts.push({ what: named, reached, goal, met: ms <= goalMs });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const end = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await end;
  clearTimeout(timer);
}
