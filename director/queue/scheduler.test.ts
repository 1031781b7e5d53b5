import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { createLog } from "../../common/log.js";
import { setClock } from "../../common/time.js";
import type { DirectorConfig, JobResource } from "../config/types.js";
import type { ScheduleResource } from "../config/types-schedule.js";
import { DirectorDb } from "../db/database.js";
import type { RunRequest } from "../job/request.js";
import { MessageCenter } from "../messages/center.js";
import { Scheduler } from "./scheduler.js";

const START = new Date(2026, 10, 21, 12, 0, 0).getTime();
const HOUR = 3_600_000;

function job(name: string, changes: Partial<JobResource> = {}): JobResource {
  const base = {
    name,
    enabled: true,
    level: "Incremental",
    type: "Backup",
    client: "c",
    pool: "p",
    priority: 10,
  };
  return { ...base, schedule: "nightly", rerunMissed: true, ...changes } as JobResource;
}

function bench(jobs: JobResource[], db = DirectorDb.open(":memory:")) {
  const schedule: ScheduleResource = {
    name: "nightly",
    enabled: true,
    runs: [
      { overrides: {}, spec: { kind: "cron", expression: "0 * * * *" } },
      { overrides: { level: "Full" }, spec: { kind: "cron", expression: "30 3 * * *" } },
    ],
  };
  const config = {
    jobs: new Map(jobs.map((entry) => [entry.name, entry])),
    schedules: new Map([["nightly", schedule]]),
  } as unknown as DirectorConfig;
  const started: RunRequest[] = [];
  const disabled = new Set<string>();
  const log = createLog("test", { level: "silent" });
  const messages = new MessageCenter({ db, name: "dir", log, daemonMessages: () => undefined });
  const scheduler = new Scheduler({
    db,
    config: () => config,
    isEnabled: (_kind, name) => !disabled.has(name),
    run: (requests, noted) => {
      noted();
      started.push(...requests);
    },
    messages,
    log,
  });
  return { scheduler, started, disabled, db, messages };
}

let now = START;
function useClock(): void {
  now = START;
  setClock(() => now);
  mock.timers.enable({ apis: ["setTimeout"] });
}
/** Lets time pass in steps as short as the scheduler's own. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 10_000) {
    now += Math.min(left, 10_000);
    mock.timers.tick(Math.min(left, 10_000));
    mock.timers.tick(0);
  }
}
afterEach(() => {
  setClock();
  mock.timers.reset();
});

test("a job runs when its schedule is due, once, with the overrides of its line", () => {
  useClock();
  const { scheduler, started } = bench([job("a")]);
  scheduler.start();
  assert.equal(started.length, 0);
  pass(HOUR + 20_000);
  assert.deepEqual(started, [{ job: "a", whenMs: START + HOUR, overrides: {} }]);
  scheduler.close();
});

test("nothing is missed on the first start; after a pause the highest level is made up for", () => {
  useClock();
  const first = bench([job("a"), job("b", { rerunMissed: false })]);
  first.scheduler.start();
  assert.equal(first.started.length, 0);
  first.scheduler.close();
  now = START + 20 * HOUR;
  const second = bench([job("a"), job("b", { rerunMissed: false })], first.db);
  second.scheduler.start();
  assert.deepEqual(
    second.started.map((request) => [request.job, request.overrides?.level, request.whenMs]),
    [["a", "Full", now]],
  );
  assert.match(second.messages.take("x")[0]!, /Job a missed 21 runs while the director was down/);
  second.scheduler.close();
});

test("what is switched off does not run", () => {
  useClock();
  const { scheduler, started, disabled } = bench([job("a"), job("b")]);
  scheduler.start();
  disabled.add("b");
  scheduler.replan();
  pass(HOUR + 20_000);
  assert.deepEqual(
    started.map((request) => request.job),
    ["a"],
  );
  disabled.add("nightly");
  pass(HOUR);
  assert.equal(started.length, 1);
  scheduler.close();
});

test("a clock set back a little does not run anything twice; set forward it makes up", () => {
  useClock();
  const { scheduler, started } = bench([job("a")]);
  scheduler.start();
  pass(HOUR + 20_000);
  assert.equal(started.length, 1);
  now -= 60_000;
  pass(120_000);
  assert.equal(started.length, 1);
  now += 5 * HOUR;
  pass(60_000);
  assert.equal(started.length, 2);
  scheduler.close();
});

test("upcoming runs are listed in order", () => {
  useClock();
  const { scheduler } = bench([job("a")]);
  const runs = scheduler.upcoming(1);
  assert.equal(runs.length, 25);
  assert.equal(runs[0]?.whenMs, START + HOUR);
  assert.deepEqual(
    runs.filter((run) => run.level === "Full").map((run) => run.whenMs),
    [START + 15.5 * HOUR],
  );
  scheduler.close();
});
