/** Readers of volumes against hostile input: a few seconds of it; fuzz.long.test.ts has much more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { feed, fuzz, seedOf } from "./fuzz.js";
import { fuzzTargets } from "./fuzz-readers.js";

const ROUNDS = 3000;
const SLOW_ROUNDS = 100;
/** Cutting shows nothing here: any piece is good, or damage is told and passed over. */
const FORGIVING = ["escaped text", "member name", "verify", "extract", "scan behind damage"];

const seed = seedOf(process.env);

for (const target of await fuzzTargets()) {
  const { name, samples, read } = target;

  test(`${name}: cut off at every byte`, async () => {
    const [sample] = samples.toSorted((a, b) => a.length - b.length);
    const step = name === "extract" ? 40 : target.slow && !name.startsWith("scan") ? 8 : 1;
    let refused = 0;
    for (let length = 0; length < sample!.length; length += step)
      if ((await feed(read, sample!.subarray(0, length), `${name} cut to ${length}`)) === "refused")
        refused++;
    assert.ok(refused > 0 || FORGIVING.includes(name), "no cut was noticed");
    for (const good of samples) await feed(read, good, `good sample of ${name}`);
  });

  test(`${name}: changed at random`, async (t) => {
    t.diagnostic(`BASALT_SEED=${seed}`);
    await fuzz(target, seed, target.slow ? SLOW_ROUNDS : ROUNDS);
  });
}
