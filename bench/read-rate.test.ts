import assert from "node:assert/strict";
import { test } from "node:test";
import { type ReadSample, steadyRates } from "./read-rate.js";

/** Samples ten times a second of a counter that grows as `rateAt` says. */
function samples(seconds: number, rateAt: (second: number) => number): ReadSample[] {
  let bytes = 5000;
  return Array.from({ length: seconds * 10 }, (_, index) => {
    bytes += rateAt(index / 10) / 10;
    return { seconds: index / 10, bytes };
  });
}

const options = { windowSeconds: 10, expected: 20e6 };

test("start and end of a job do not count", () => {
  const found = steadyRates(
    samples(30, (at) => (at < 4 || at > 24 ? 1000 : 20e6)),
    options,
  );
  assert.ok(found && found.least > 19.5e6 && found.most < 20.5e6, JSON.stringify(found));
});

test("ten seconds that are too slow or too fast are found among others", () => {
  const slow = steadyRates(
    samples(40, (at) => (at > 20 && at < 30 ? 17e6 : 20e6)),
    options,
  );
  assert.ok(slow && slow.least < 17.5e6 && slow.most < 20.1e6, JSON.stringify(slow));
  const fast = steadyRates(
    samples(40, (at) => (at > 20 && at < 22 ? 30e6 : 20e6)),
    options,
  );
  assert.ok(fast && fast.most > 21.5e6 && fast.least > 19.9e6, JSON.stringify(fast));
});

test("too short is not judged", () => {
  assert.equal(
    steadyRates(
      samples(8, () => 20e6),
      options,
    ),
    undefined,
  );
  assert.equal(steadyRates([], options), undefined);
});
