import { test } from "node:test";
import { replay, runHistories } from "./history.js";

/** The same in every run of the gate, so that it tells about a change and not about luck; `test:long` throws the dice. */
const GATE_SEED = 172_280_125;

const seed = Number(process.env.BASALT_SEED ?? GATE_SEED);
const steps = Number(process.env.BASALT_STEPS ?? 10_000);
const length = process.env.BASALT_LENGTH;
const again = process.env.BASALT_REPLAY;

test(`random histories: every kept job restores as it was (BASALT_SEED=${seed} BASALT_STEPS=${steps})`, async (t) => {
  if (again !== undefined) return replay(again);
  const kinds = await runHistories(seed, steps, length === undefined ? undefined : Number(length));
  t.diagnostic(
    Object.entries(kinds)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(", "),
  );
});
