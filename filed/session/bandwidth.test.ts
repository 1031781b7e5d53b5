import assert from "node:assert/strict";
import { test } from "node:test";
import { Bandwidth } from "./bandwidth.js";

const MESSAGE = Buffer.alloc(1_000_000);

test("without a limit messages go at once, in order", async () => {
  const sent: number[] = [];
  const send = new Bandwidth(0, new AbortController().signal).limited(async (message) => {
    sent.push(message.length);
  });
  await Promise.all([1, 2, 3].map((length) => send(Buffer.alloc(length))));
  assert.deepEqual(sent, [1, 2, 3]);
});

test("a limit holds messages back; another one lets those go on that wait, in order", async () => {
  const sent: number[] = [];
  const bandwidth = new Bandwidth(1, new AbortController().signal);
  const send = bandwidth.limited(async (message) => {
    sent.push(message[0]!);
  });
  const all = [1, 2, 3].map((mark) => send(Buffer.concat([Buffer.of(mark), MESSAGE])));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(sent, []);
  bandwidth.set(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(sent.length <= 1);
  bandwidth.set(0);
  await Promise.all(all);
  assert.deepEqual(sent, [1, 2, 3]);
});

test("waiting ends with the job, and what failed to be sent fails alone", async () => {
  const abort = new AbortController();
  const bandwidth = new Bandwidth(1, abort.signal);
  const waiting = bandwidth.limited(async () => undefined)(MESSAGE);
  abort.abort(new Error("the job ended"));
  await assert.rejects(waiting, /the job ended/);
  let calls = 0;
  const send = new Bandwidth(0, new AbortController().signal).limited(async () => {
    if (++calls === 1) throw new Error("broken");
  });
  await assert.rejects(send(MESSAGE), /broken/);
  await send(MESSAGE);
});
