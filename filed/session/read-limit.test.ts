import assert from "node:assert/strict";
import { test } from "node:test";
import { type LimitClock, ReadLimit } from "./read-limit.js";

/** A clock that jumps to the end of every sleep, and oversleeps. */
class FakeClock implements LimitClock {
  timeMs = 5_000;
  readonly #lateMs: number;

  constructor(lateMs = 0) {
    this.#lateMs = lateMs;
  }

  nowMs(): number {
    return this.timeMs;
  }

  async sleep(ms: number): Promise<void> {
    this.timeMs += ms + this.#lateMs;
  }
}

interface Read {
  atMs: number;
  bytes: number;
}

/** Reads units of `bytes` for so long; every unit takes `readMs` itself. */
async function readFor(
  ms: number,
  limit: ReadLimit,
  clock: FakeClock,
  unit: { bytes: number; readMs: number },
): Promise<Read[]> {
  const reads: Read[] = [];
  for (const until = clock.timeMs + ms; clock.timeMs < until; ) {
    clock.timeMs += unit.readMs;
    reads.push({ atMs: clock.timeMs, bytes: unit.bytes });
    await limit.take(unit.bytes);
  }
  return reads;
}

/** Bytes per second over every stretch of so many milliseconds that begins or ends with a read. */
function rates(reads: Read[], ms: number): { least: number; most: number } {
  const last = reads.at(-1)?.atMs ?? 0;
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const { atMs } of reads) {
    if (atMs + ms > last) break;
    const inside = reads.filter((read) => read.atMs > atMs && read.atMs <= atMs + ms);
    const rate = (inside.reduce((sum, { bytes }) => sum + bytes, 0) / ms) * 1000;
    least = Math.min(least, rate);
    most = Math.max(most, rate);
  }
  return { least, most };
}

function within(part: number, found: { least: number; most: number }, bytesPerSec: number): void {
  assert.ok(found.least >= bytesPerSec * (1 - part), `${found.least} of ${bytesPerSec}`);
  assert.ok(found.most <= bytesPerSec * (1 + part), `${found.most} of ${bytesPerSec}`);
}

const signal = new AbortController().signal;

test("the limit is kept within 5 % over any 10 s and 10 % over any second, with timers that fire late", async () => {
  for (const bytesPerSec of [2e6, 20e6, 150e6]) {
    const clock = new FakeClock(3);
    const limit = new ReadLimit(bytesPerSec, signal, clock);
    const reads = await readFor(30_000, limit, clock, { bytes: limit.unitBytes, readMs: 2 });
    within(0.05, rates(reads, 10_000), bytesPerSec);
    within(0.1, rates(reads, 1000), bytesPerSec);
  }
});

test("small units, many to a timer's tick, add up to the same rate", async () => {
  const clock = new FakeClock(1);
  const reads = await readFor(30_000, new ReadLimit(20e6, signal, clock), clock, {
    bytes: 4000,
    readMs: 0.05,
  });
  within(
    0.05,
    rates(
      reads.filter((_, index) => index % 50 === 0).map(({ atMs }) => ({ atMs, bytes: 200_000 })),
      10_000,
    ),
    20e6,
  );
});

test("a stall of 200 ms now and then is made up for, minutes of silence are not", async () => {
  const clock = new FakeClock();
  const limit = new ReadLimit(20e6, signal, clock);
  const reads: Read[] = [];
  for (let round = 0; round < 20; round++) {
    clock.timeMs += 200;
    reads.push(...(await readFor(1800, limit, clock, { bytes: limit.unitBytes, readMs: 1 })));
  }
  within(0.05, rates(reads, 10_000), 20e6);
  clock.timeMs += 300_000;
  const after = await readFor(10_000, limit, clock, { bytes: limit.unitBytes, readMs: 1 });
  const total = after.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(total <= 10 * 20e6 * 1.05, `${total}`);
});

test("what turned out to be less than was paid for is given back", async () => {
  const clock = new FakeClock();
  const limit = new ReadLimit(20e6, signal, clock);
  const reads: Read[] = [];
  for (const until = clock.timeMs + 20_000; clock.timeMs < until; ) {
    reads.push({ atMs: clock.timeMs, bytes: 300_000 });
    const paid = limit.take(1e6);
    clock.timeMs += 2;
    limit.correct(-700_000);
    await paid;
  }
  within(0.05, rates(reads, 10_000), 20e6);
});

test("several readers share one limit", async () => {
  let nowMs = 0;
  const asked: number[] = [];
  const sleep = async (ms: number): Promise<void> => void asked.push(ms);
  const limit = new ReadLimit(1e6, signal, { nowMs: () => nowMs, sleep });
  await Promise.all([limit.take(1e6), limit.take(1e6), limit.take(500_000)]);
  assert.deepEqual(asked, [1000, 2000, 2500]);
  nowMs = 2500;
  await limit.take(100_000);
  assert.deepEqual(asked.at(-1), 100);
});

test("units are some milliseconds of reading, and never tiny", () => {
  assert.equal(new ReadLimit(20e6, signal).unitBytes, 1e6);
  assert.equal(new ReadLimit(1000, signal).unitBytes, 64 * 1024);
});

test("waiting ends with the job", async () => {
  const controller = new AbortController();
  const limit = new ReadLimit(1000, controller.signal);
  const waiting = limit.take(1e9);
  const reason = new Error("canceled");
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(limit.take(1), reason);
});
