import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../test/helpers/running.js";
import { whileFrozen } from "./freeze.js";
import { freezeSettings, type Lie, reporter, StandInAgent } from "./testing.js";

const nothing = async (): Promise<string> => "done";

test("the work is done between freeze and thaw, and confirmed by the thaw", async (t) => {
  const agent = await StandInAgent.start(t);
  const { said, report } = reporter();
  const result = await whileFrozen(
    "vm-1",
    freezeSettings({ agentSocket: agent.socket }),
    { report },
    async () => {
      assert.equal(agent.frozen, true);
      return 7;
    },
  );
  assert.deepEqual(result, { value: 7, confirmed: true, how: "guest" });
  assert.deepEqual(agent.commands, ["freeze", "thaw"]);
  assert.equal(said[0], "the guest agent has frozen 2 file systems");
  assert.match(said[1]!, /^the guest agent has thawed 2 file systems, after \d+\.\d s$/);
});

test("the name of the machine is part of the socket's path, and no way out of it", async (t) => {
  const agent = await StandInAgent.start(t);
  const settings = freezeSettings({ agentSocket: agent.socket.replace("agent.sock", "%n.sock") });
  const tools = reporter();
  assert.equal((await whileFrozen("agent", settings, tools, nothing)).confirmed, true);
  for (const name of ["../agent", "a/../agent", "-agent", "", "..", "a b"])
    await assert.rejects(whileFrozen(name, settings, tools, nothing), { code: "VALUE_INVALID" });
});

test("what the work throws comes out, after the thaw", async (t) => {
  const agent = await StandInAgent.start(t);
  const work = whileFrozen("vm-1", freezeSettings({ agentSocket: agent.socket }), reporter(), async () => {
    throw new Error("no room");
  });
  await assert.rejects(work, /no room/);
  assert.deepEqual(agent.commands, ["freeze", "thaw"]);
  assert.equal(agent.frozen, false);
});

test("answers of earlier clients and rubbish before the synchronization are passed over", async (t) => {
  const agent = await StandInAgent.start(t);
  agent.rubbish = Buffer.from('{"return": 99}\nxx\u0000{"return"\n{"error": {}}\n[1]\nhalf a li', "latin1");
  const result = await whileFrozen(
    "vm-1",
    freezeSettings({ agentSocket: agent.socket }),
    reporter(),
    nothing,
  );
  assert.equal(result.confirmed, true);
});

/** An agent that is no use, and what is said of it. */
const USELESS: [string, Record<string, Lie>, RegExp][] = [
  ["dead at the first word", { "guest-sync-delimited": () => "die" }, /closed the connection/],
  [
    "of another number",
    { "guest-sync-delimited": () => Buffer.from('\xff{"return": 1}\n', "latin1") },
    /no answer to guest-sync/,
  ],
  ["that hangs", { "guest-sync-delimited": () => "silence" }, /no answer to guest-sync-delimited in time/],
  [
    "of an endless line",
    { "guest-fsfreeze-status": () => Buffer.alloc(3_000_000, 0x61) },
    /a line without an end/,
  ],
  ["of garbage", { "guest-fsfreeze-status": () => "hello\n" }, /no JSON object/],
  ["without a result", { "guest-fsfreeze-status": () => ({ event: "x" }) }, /neither a result nor an error/],
  ["that is frozen already", { "guest-fsfreeze-status": () => ({ return: "frozen" }) }, /frozen already/],
  [
    "that may neither freeze nor thaw",
    {
      "guest-fsfreeze-freeze": () => ({ error: { desc: "disabled\n!" } }),
      "guest-fsfreeze-thaw": () => ({ error: { desc: "disabled" } }),
    },
    /refuses .*: disabled !/,
  ],
];

for (const [kind, lies, expected] of USELESS) {
  test(`an agent ${kind} does not hold: the work is done all the same, or not when it is required`, async (t) => {
    const agent = await StandInAgent.start(t, lies);
    const settings = freezeSettings({ agentSocket: agent.socket, stepTimeoutSec: 1 });
    const { said, report } = reporter();
    const result = await whileFrozen("vm-1", settings, { report }, nothing);
    assert.deepEqual(result, { value: "done", confirmed: false, how: "no" });
    assert.match(said.join("\n"), expected);
    assert.match(said.at(-1)!, /not simultaneous/);
    const required = whileFrozen("vm-1", { ...settings, required: true }, { report }, () =>
      assert.fail("called"),
    );
    await assert.rejects(required, { code: "FREEZE_REQUIRED" });
  });
}

test("an agent that says frozen and is not: nothing is confirmed, nothing is claimed", async (t) => {
  const liar: Record<string, Lie> = {
    "guest-fsfreeze-freeze": () => ({ return: 2 }),
    "guest-fsfreeze-status": (agent) => ({
      return: agent.commands.at(-1) === "freeze" ? "frozen" : "thawed",
    }),
  };
  const agent = await StandInAgent.start(t, liar);
  const { said, report } = reporter();
  const result = await whileFrozen(
    "vm-1",
    freezeSettings({ agentSocket: agent.socket }),
    { report },
    nothing,
  );
  assert.deepEqual(result, { value: "done", confirmed: false, how: "no" });
  assert.match(said.at(-1)!, /not frozen any more.*not simultaneous/);
});

test("an agent that thaws fewer than it froze is not confirmed", async (t) => {
  const agent = await StandInAgent.start(t);
  const settings = freezeSettings({ agentSocket: agent.socket });
  const result = await whileFrozen("vm-1", settings, reporter(), async () => {
    agent.fileSystems = 1;
  });
  assert.deepEqual(result, { value: undefined, confirmed: false, how: "guest" });
});

test("some of a guest's file systems are not all of them", async (t) => {
  const disk = [{ "bus-type": "virtio" }];
  let all = [
    { mountpoint: "/srv", disk },
    { mountpoint: "/net", disk: [] },
  ];
  const agent = await StandInAgent.start(t, { "guest-get-fsinfo": () => ({ return: all }) });
  const settings = freezeSettings({ agentSocket: agent.socket, fileSystems: ["/srv"] });
  const confirmed = await whileFrozen("vm-1", settings, reporter(), nothing);
  assert.equal(confirmed.confirmed, true);
  all = [...all, { mountpoint: "/", disk }];
  assert.deepEqual(await whileFrozen("vm-1", settings, reporter(), nothing), {
    value: "done",
    confirmed: false,
    how: "guest",
  });
  assert.deepEqual(agent.commands, ["freeze-list", "thaw", "freeze-list", "thaw"]);
});

test("a freeze that never answers is thawed, and the next method is tried", async (t) => {
  const hanging = await StandInAgent.start(t, {
    "guest-fsfreeze-freeze": (agent) => {
      agent.frozen = true;
      return "silence";
    },
  });
  const { said, report } = reporter();
  const settings = freezeSettings({ agentSocket: hanging.socket, stepTimeoutSec: 1 });
  const result = await whileFrozen("vm-1", settings, { report }, nothing);
  assert.equal(result.how, "no");
  assert.equal(hanging.frozen, false);
  assert.match(said[0]!, /not held by agent: .*no answer to guest-fsfreeze-freeze in time/);
});

test("after the time limit the guest is thawed, whatever the work does", async (t) => {
  const agent = await StandInAgent.start(t);
  const { said, report } = reporter();
  const settings = freezeSettings({ agentSocket: agent.socket, timeoutSec: 1 });
  const result = await whileFrozen("vm-1", settings, { report }, async () => {
    await until("the thaw", () => !agent.frozen && agent.commands.includes("thaw"));
    return 1;
  });
  assert.deepEqual(result, { value: 1, confirmed: false, how: "no" });
  assert.match(said.at(-1)!, /let go after 1 s \(Timeout\), before the work was done.*not simultaneous/);
});

test("when the signal comes the guest is thawed before the work has ended", async (t) => {
  const agent = await StandInAgent.start(t);
  const stop = new AbortController();
  const settings = freezeSettings({ agentSocket: agent.socket });
  const work = whileFrozen("vm-1", settings, { ...reporter(), signal: stop.signal }, async () => {
    stop.abort(new Error("canceled"));
    await until("the thaw", () => agent.commands.includes("thaw"));
  });
  await assert.rejects(work, /canceled/);
  assert.equal(agent.frozen, false);
});

test("a signal while the agent hangs ends the waiting", async (t) => {
  const agent = await StandInAgent.start(t, { "guest-fsfreeze-freeze": () => "silence" });
  const stop = new AbortController();
  const settings = freezeSettings({ agentSocket: agent.socket, methods: ["agent", "none"] });
  const work = whileFrozen("vm-1", settings, { ...reporter(), signal: stop.signal }, () =>
    assert.fail("called"),
  );
  const rejected = assert.rejects(work, /canceled/);
  await until("the freeze", () => agent.commands.includes("freeze"));
  stop.abort(new Error("canceled"));
  await rejected;
  assert.deepEqual(agent.commands, ["freeze", "thaw"]);
});

test("an agent that dies while it is frozen: the job is told, and the thaw comes when it is back", async (t) => {
  const agent = await StandInAgent.start(t);
  const settings = freezeSettings({ agentSocket: agent.socket, stepTimeoutSec: 1 });
  const work = whileFrozen("vm-1", settings, reporter(), async () => agent.die());
  await assert.rejects(work, { code: "FREEZE_STUCK" });
  assert.equal(agent.frozen, true);
  await sleep(100);
  await agent.listen();
  await until("the thaw", () => !agent.frozen);
});

test("no method at all is no guard either", async () => {
  const { said, report } = reporter();
  const result = await whileFrozen(
    "vm-1",
    freezeSettings({ methods: ["none", "agent"] }),
    { report },
    nothing,
  );
  assert.deepEqual(result, { value: "done", confirmed: false, how: "no" });
  assert.deepEqual(said, []);
});
