import assert from "node:assert/strict";
import { test } from "node:test";
import type { RpcChannel } from "../../proto/rpc.js";
import { DialedClients } from "./dialed-clients.js";

class FakeChannel {
  dialed = 0;
  closed = 0;
  state = "connected";
  dial(): void {
    this.dialed++;
  }
  close(): void {
    this.closed++;
  }
}

const PLACE = { client: "vm-fd", filedAddress: "10.0.0.1", filedPort: 9102, job: "vm.1" };

function fixture() {
  const opened: FakeChannel[] = [];
  const clock = { ms: 0 };
  const open = () => {
    opened.push(new FakeChannel());
    return opened.at(-1) as unknown as RpcChannel;
  };
  const clients = new DialedClients(open, () => clock.ms);
  return { opened, clients, clock };
}

const closed = (opened: readonly FakeChannel[]) => opened.map((channel) => channel.closed);

test("connections that were made for a run are taken by it, others are new", () => {
  const { opened, clients } = fixture();
  clients.dial(PLACE, 2);
  assert.deepEqual(
    opened.map(({ dialed }) => dialed),
    [1, 1],
  );
  const taken = new Set([clients.take(PLACE), clients.take(PLACE), clients.take(PLACE)]);
  assert.equal(taken.size, 3);
  assert.equal(opened.length, 3);
  clients.close();
  assert.deepEqual(closed(opened), [0, 0, 0]);
});

test("one that connects may take a moment, not longer", () => {
  const { opened, clients, clock } = fixture();
  clients.dial(PLACE, 2);
  for (const channel of opened) channel.state = "connecting";
  assert.equal(clients.take(PLACE), opened[1]);
  clock.ms = 2001;
  assert.equal(clients.take(PLACE), opened[2]);
  assert.deepEqual(closed(opened), [1, 0, 0]);
  clients.close();
});

test("one that could not connect, or leads elsewhere, is not taken", () => {
  const { opened, clients } = fixture();
  clients.dial(PLACE, 1);
  opened[0]!.state = "failed";
  assert.equal(clients.take(PLACE), opened[1]);
  assert.equal(opened[0]!.closed, 1);
  clients.dial(PLACE, 1);
  assert.equal(clients.take({ ...PLACE, filedPort: 1 }), opened[3]);
  assert.equal(clients.take({ ...PLACE, job: "vm.2" }), opened[4]);
  assert.equal(clients.take(PLACE), opened[2]);
});

test("what nobody takes is closed: behind a while, for the same run again, at the end", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { opened, clients } = fixture();
  clients.dial(PLACE, 1);
  t.mock.timers.tick(30_000);
  assert.deepEqual(closed(opened), [1]);
  clients.dial(PLACE, 2);
  clients.dial(PLACE, 1);
  assert.deepEqual(closed(opened), [1, 1, 1, 0]);
  clients.close();
  assert.deepEqual(closed(opened), [1, 1, 1, 1]);
  clients.dial({ ...PLACE, filedAddress: "" }, 1);
  assert.equal(opened.length, 4);
});
