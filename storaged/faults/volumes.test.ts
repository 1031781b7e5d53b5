import assert from "node:assert/strict";
import { test } from "node:test";
import { enumerate } from "./enumerate.js";
import { VOLUME_SCENARIOS } from "./volume-scenarios.js";

for (const scenario of VOLUME_SCENARIOS) {
  test(`every step: ${scenario.name}`, async (t) => {
    const { steps, images, faults, problems } = await enumerate(scenario);
    t.diagnostic(`${steps} steps, ${images} crash images, ${faults} failures`);
    assert.equal(problems.length, 0, `${problems.length} problems:\n${problems.slice(0, 8).join("\n\n")}`);
    assert.ok(steps > 3 && images > 3 && faults > 3);
  });
}
