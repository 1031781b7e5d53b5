/** Readers of volumes against hostile input for some minutes: `npm run test:long`. */
import { test } from "node:test";
import { fuzz, seedOf } from "./fuzz.js";
import { fuzzTargets } from "./fuzz-readers.js";

const ROUNDS = 300_000;
const SLOW_ROUNDS = 10_000;

const seed = seedOf(process.env);

for (const target of await fuzzTargets()) {
  test(`${target.name}: changed at random, many times`, async (t) => {
    t.diagnostic(`BASALT_SEED=${seed}`);
    await fuzz(target, seed, target.slow ? SLOW_ROUNDS : ROUNDS);
  });
}
