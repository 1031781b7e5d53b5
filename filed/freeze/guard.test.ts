import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { until } from "../../test/helpers/running.js";
import { whileFrozen } from "./freeze.js";
import { letGoLeftovers } from "./held-notes.js";
import type { FreezeSettings } from "./settings.js";
import { freezeSettings, reporter, StandInAgent } from "./testing.js";

/** Guards that a process has started. */
function guardsOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => {
      try {
        const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${each}/stat`, "latin1")) ?? [];
        return (
          Number(parent) === pid && readFileSync(`/proc/${each}/cmdline`, "latin1").includes("guard-main")
        );
      } catch {
        return false;
      }
    });
}

/** Another program, while it holds the machine. */
async function holder(
  t: TestContext,
  settings: FreezeSettings,
  ...more: string[]
): Promise<ChildProcess & { pid: number }> {
  const program = join(import.meta.dirname, "test-holder.js");
  const child = spawn(process.execPath, [program, JSON.stringify(settings), ...more], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  t.after(() => child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child as typeof child & { pid: number };
}

for (const target of ["process", "group"] as const) {
  test(`kill -9 of the ${target} that holds a guest: it is thawed`, async (t) => {
    const agent = await StandInAgent.start(t);
    const child = await holder(t, freezeSettings({ agentSocket: agent.socket }));
    assert.equal(agent.frozen, true);
    const guards = guardsOf(child.pid);
    assert.equal(guards.length, 1);
    process.kill(target === "group" ? -child.pid : child.pid, "SIGKILL");
    await until("the thaw", () => !agent.frozen);
    await until("the end of the guard", () => !isAlive(guards[0]!));
    assert.deepEqual(agent.commands, ["freeze", "thaw"]);
  });
}

test("kill -9 in the middle of the freeze: it is thawed", async (t) => {
  const agent = await StandInAgent.start(t, {
    "guest-fsfreeze-freeze": (self) => {
      self.frozen = true;
      return "silence";
    },
  });
  const program = join(import.meta.dirname, "test-holder.js");
  const settings = JSON.stringify(freezeSettings({ agentSocket: agent.socket }));
  const child = spawn(process.execPath, [program, settings], { stdio: ["ignore", "ignore", "inherit"] });
  await until("the freeze", () => agent.frozen);
  child.kill("SIGKILL");
  await until("the thaw", () => !agent.frozen);
});

test("a process that stands still does not keep the guest frozen beyond the time limit", async (t) => {
  const agent = await StandInAgent.start(t);
  const child = await holder(t, freezeSettings({ agentSocket: agent.socket, timeoutSec: 1 }));
  process.kill(child.pid, "SIGSTOP");
  await until("the thaw", () => !agent.frozen);
});

test("kill -9 of the guard itself: the process that started it thaws", async (t) => {
  const agent = await StandInAgent.start(t);
  const settings = freezeSettings({ agentSocket: agent.socket });
  const result = await whileFrozen("vm-1", settings, reporter(), async () => {
    const [guard] = guardsOf(process.pid);
    process.kill(guard!, "SIGKILL");
    await until("the end of the guard", () => guardsOf(process.pid).length === 0);
  });
  assert.deepEqual(result, { value: undefined, confirmed: true, how: "guest" });
  assert.equal(agent.frozen, false);
});

test("kill -9 of both at the same time: the next start thaws, once", async (t) => {
  const agent = await StandInAgent.start(t);
  const directory = scratchDirectory("held");
  const child = await holder(t, freezeSettings({ agentSocket: agent.socket }), directory);
  const { said, report } = reporter();
  await letGoLeftovers(directory, report, 60_000);
  assert.equal(agent.frozen, true, "what lives is left alone");
  const [guard] = guardsOf(child.pid);
  // Neither sees the other's end.
  for (const pid of [child.pid, guard!]) process.kill(pid, "SIGSTOP");
  for (const pid of [child.pid, guard!]) process.kill(pid, "SIGKILL");
  await until("their end", () => !isAlive(child.pid) && !isAlive(guard!));
  assert.equal(agent.frozen, true);
  await letGoLeftovers(directory, report, 60_000);
  assert.equal(agent.frozen, false);
  await letGoLeftovers(directory, report, 60_000);
  assert.deepEqual(said, [
    "vm-1 was held by a process that was killed: the guest agent has thawed 2 file systems",
  ]);
});

test("what was let go, and what was held before this machine started, leaves nothing to be done", async (t) => {
  const agent = await StandInAgent.start(t);
  const directory = scratchDirectory("held");
  const settings = freezeSettings({ agentSocket: agent.socket });
  await whileFrozen("vm-1", settings, { ...reporter(), workingDirectory: directory }, async () => {
    const [note] = readdirSync(join(directory, "held"));
    const text = readFileSync(join(directory, "held", note!), "utf8");
    writeFileSync(
      join(directory, "held", "1"),
      text.replace(/(?<="process":"\d+\.\d+\.)[0-9a-f]+/, "00000000"),
    );
    writeFileSync(join(directory, "held", "2"), "{");
  });
  assert.deepEqual(readdirSync(join(directory, "held")).sort(), ["1", "2"]);
  const { said, report } = reporter();
  await letGoLeftovers(directory, report, 60_000);
  assert.deepEqual([said, readdirSync(join(directory, "held"))], [[], []]);
  assert.deepEqual(agent.commands, ["freeze", "thaw"]);
});

test("SIGTERM to the guard: it thaws and ends, and that is told", async (t) => {
  const agent = await StandInAgent.start(t);
  const { said, report } = reporter();
  const settings = freezeSettings({ agentSocket: agent.socket });
  const result = await whileFrozen("vm-1", settings, { report }, async () => {
    process.kill(guardsOf(process.pid)[0]!, "SIGTERM");
    await until("the thaw", () => !agent.frozen && agent.commands.includes("thaw"));
  });
  assert.deepEqual(result, { value: undefined, confirmed: false, how: "no" });
  assert.match(said.at(-1)!, /its guard was ended/);
});

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
