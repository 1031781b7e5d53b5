import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Outgoing, releaseMemory } from "./bulk-memory.js";

const LARGE = 1024 * 1024;

/** What was moved away is no longer counted, without any collection. */
function heldBytes(): number {
  return process.memoryUsage().arrayBuffers;
}

test("a bulk message gives its memory back at once, all its parts with it", async () => {
  // The first makes the port, which closes in a moment.
  releaseMemory(Buffer.alloc(LARGE));
  await setTimeout(50);
  const before = heldBytes();
  for (let i = 0; i < 100; i++) {
    const framed = Buffer.alloc(LARGE + 5);
    const message = framed.subarray(5);
    releaseMemory(message);
    assert.equal(message.length, 0);
    assert.equal(framed.length, 0);
  }
  assert.ok(heldBytes() - before < 10 * LARGE, `${heldBytes() - before} bytes are still held`);
});

test("short messages, parts of something larger and shared memory are left alone", () => {
  const short = Buffer.alloc(1000, 1);
  const part = Buffer.alloc(LARGE, 1).subarray(100, LARGE - 100);
  const shared = Buffer.from(new SharedArrayBuffer(LARGE)).fill(1);
  for (const message of [short, part, shared]) {
    const { length } = message;
    releaseMemory(message);
    assert.equal(message.length, length);
    assert.equal(message[length - 1], 1);
  }
});

test("a message is copied to where it is sent from, which is released alone", () => {
  const message = Buffer.alloc(LARGE, 7);
  const outgoing = new Outgoing(message);
  assert.equal(outgoing.byteLength, LARGE);
  const framed = Buffer.alloc(outgoing.byteLength + 5);
  outgoing.copy(framed, 5);
  assert.deepEqual(framed.subarray(5), message);
  outgoing.left();
  assert.equal(framed.length, 0);
  assert.equal(message.length, LARGE);
  new Outgoing(message).left();
});

test("a message that was released too early is not sent", () => {
  const message = Buffer.alloc(LARGE, 7);
  const outgoing = new Outgoing(message);
  releaseMemory(message);
  assert.throws(() => outgoing.copy(Buffer.alloc(LARGE + 5), 5), /released before it was sent/);
});
