import assert from "node:assert/strict";
import { test } from "node:test";
import { UnderWay } from "./under-way.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a failure that nobody waits for is told by the next call, and by the end", async () => {
  const work = new UnderWay(2);
  const fails = async (): Promise<void> => {
    await turn();
    throw new Error("unread");
  };
  await work.begin(fails);
  for (let i = 0; i < 3; i++) await turn();
  await assert.rejects(
    work.begin(async () => assert.fail("begun")),
    /unread/,
  );
  await assert.rejects(work.end(), /unread/);
  await work.settled();
});

test("no more than so much at a time, and the end waits for all of it", async () => {
  const work = new UnderWay(2);
  let running = 0;
  let most = 0;
  let done = 0;
  for (let i = 0; i < 7; i++) {
    await work.begin(async () => {
      most = Math.max(most, ++running);
      for (let turns = 0; turns < i; turns++) await turn();
      running--;
      done++;
    });
  }
  await work.end();
  assert.deepEqual([most, running, done], [2, 0, 7]);
});
