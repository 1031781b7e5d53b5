import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { Places } from "./places.js";

const from = (address: string): Socket =>
  Object.defineProperty(new Socket(), "remoteAddress", { value: address });
const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once("close", resolve));

test("one address cannot take all places, and neither can one IPv6 network", () => {
  const places = new Places();
  let begun = 0;
  const enter = (address: string) => places.enter(from(address), () => begun++);
  for (let each = 0; each < 50; each++) enter(each % 2 === 0 ? "10.0.0.1" : "::ffff:10.0.0.1");
  assert.equal(begun, 4);
  for (let each = 0; each < 50; each++) enter(`2001:db8::${each.toString(16)}`);
  assert.equal(begun, 8);
  enter("10.0.0.2");
  enter("2001:db8:0:1::1");
  assert.equal(begun, 10);
});

test("a closed connection leaves the queue, and the next one has its turn", async () => {
  const places = new Places();
  const begun: number[] = [];
  const sockets = Array.from({ length: 104 }, (_, each) => {
    const socket = from("10.0.0.1");
    places.enter(socket, () => begun.push(each));
    return socket;
  });
  assert.deepEqual([begun, places.waiting], [[0, 1, 2, 3], 100]);
  const late = from("10.0.0.1");
  places.enter(late, () => assert.fail("the queue is full"));
  assert.ok(late.destroyed);
  for (const socket of sockets.slice(4, 103)) socket.destroy();
  await closed(sockets[102]!);
  assert.equal(places.waiting, 1);
  sockets[0]!.destroy();
  await closed(sockets[0]!);
  assert.deepEqual(begun, [0, 1, 2, 3, 103]);
});
