import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { until } from "../../test/helpers/running.js";
import { whileFrozen } from "./freeze.js";
import type { FreezeSettings } from "./settings.js";
import { freezeSettings, reporter } from "./testing.js";

interface Bench {
  readonly settings: FreezeSettings;
  readonly directory: string;
  /** What was stopped and started so far. */
  log(): string[];
}

/** Three services whose commands write down that they were run; `stop` of one may be another script. */
function bench(scripts: Record<string, string> = {}, more: Partial<FreezeSettings> = {}): Bench {
  const directory = scratchDirectory("services");
  const logFile = join(directory, "log");
  writeFileSync(logFile, "");
  const names = ["cron", "web", "db"];
  const services = names.map((name) => {
    for (const verb of ["stop", "start"]) {
      const text = scripts[`${verb} ${name}`] ?? "";
      const script = `#!/bin/sh\necho "${verb} ${name} $1 $BASALT_VM" >> ${logFile}\n${text}\n`;
      writeFileSync(join(directory, `${verb}-${name}`), script, { mode: 0o755 });
    }
    return { stop: `stop-${name} %n`, start: `${directory}/start-${name} %n` };
  });
  const settings = freezeSettings({ methods: ["command"], services, hookDirectories: [directory], ...more });
  const log = (): string[] =>
    readFileSync(logFile, "utf8").replaceAll(" vm-1 vm-1", "").split("\n").filter(Boolean);
  return { settings, directory, log };
}

const ALL = ["stop cron", "stop web", "stop db", "start db", "start web", "start cron"];

test("services are stopped in order, and started the last one first", async () => {
  const { settings, log } = bench();
  const result = await whileFrozen("vm-1", settings, reporter(), async () => {
    assert.deepEqual(log(), ALL.slice(0, 3));
  });
  assert.deepEqual(result, { value: undefined, confirmed: false, how: "services" });
  assert.deepEqual(log(), ALL);
});

test("they are started when the work fails", async () => {
  const { settings, log } = bench();
  const work = whileFrozen("vm-1", settings, reporter(), () => Promise.reject(new Error("no room")));
  await assert.rejects(work, /no room/);
  assert.deepEqual(log(), ALL);
});

test("one that cannot be stopped: those before it and it are started, the others are left alone", async () => {
  const { settings, log } = bench({ "stop web": "echo is busy; exit 3" });
  const { said, report } = reporter();
  const result = await whileFrozen("vm-1", settings, { report }, async () => 1);
  assert.deepEqual(result, { value: 1, confirmed: false, how: "no" });
  assert.deepEqual(log(), ["stop cron", "stop web", "start web", "start cron"]);
  assert.match(said[0]!, /stop-web %n: Child exited with code 3: is busy/);
});

test("one that hangs is ended after its time limit, and all are started", async () => {
  const { settings, log } = bench({ "stop web": "sleep 600" }, { stepTimeoutSec: 2 });
  const { said, report } = reporter();
  await whileFrozen("vm-1", settings, { report }, async () => 1);
  assert.deepEqual(log(), ["stop cron", "stop web", "start web", "start cron"]);
  assert.match(said[0]!, /did not end within 2 seconds/);
});

test("they are started after the time limit of all", async () => {
  const { settings, log } = bench({}, { timeoutSec: 3 });
  const result = await whileFrozen("vm-1", settings, reporter(), () =>
    until("all", () => log().length === 6),
  );
  assert.equal(result.how, "no");
  assert.deepEqual(log(), ALL);
});

test("a start that fails is tried again, and does not keep the others from starting", async () => {
  const { settings, directory, log } = bench({
    "start web": 'test -e "$0.ok" || { touch "$0.ok"; exit 1; }',
  });
  const result = await whileFrozen("vm-1", settings, reporter(), async () => 1);
  assert.equal(result.how, "services");
  assert.deepEqual(log(), [...ALL, "start web"]);
  rmSync(directory, { recursive: true });
});

test("a start that always fails is told, and the others run", async () => {
  const { settings, log } = bench({ "start web": "exit 1" }, { stepTimeoutSec: 2 });
  const work = whileFrozen("vm-1", settings, reporter(), async () => 1);
  await assert.rejects(work, { code: "FREEZE_STUCK", message: /start-web %n: Child exited with code 1/ });
  assert.deepEqual(log().slice(0, 6), ALL);
  // The guard tries on, until the directory of this test goes at the latest.
  const script = `#!/bin/sh\necho at last >> ${settings.hookDirectories[0]}/log\n`;
  writeFileSync(join(settings.hookDirectories[0]!, "start-web"), script, { mode: 0o755 });
  await until("the start", () => log().at(-1) === "at last");
});

test("kill -9 of the process for which they were stopped: they are started", async () => {
  const { settings, log } = bench();
  const program = join(import.meta.dirname, "test-holder.js");
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGKILL");
  await until("all", () => log().length === 6);
  assert.deepEqual(log(), ALL);
});

test("nothing is stopped that could not be started again, nor from elsewhere than the hook directories", async () => {
  const { settings, log } = bench();
  for (const start of ["/bin/true", "missing", "'"]) {
    const services = [settings.services[0]!, { stop: settings.services[1]!.stop, start }];
    const { said, report } = reporter();
    const result = await whileFrozen("vm-1", { ...settings, services }, { report }, async () => 1);
    assert.equal(result.how, "no");
    assert.match(said[0]!, /not held by command: /);
  }
  assert.deepEqual(log(), []);
});
