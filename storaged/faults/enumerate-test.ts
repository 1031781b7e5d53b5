/** One test for each scenario. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { enumerate, type Scenario } from "./enumerate.js";

const SHOWN = 8;

export function testScenarios(scenarios: readonly Scenario[]): void {
  for (const scenario of scenarios) {
    test(`every step: ${scenario.name}`, async (t) => {
      const { steps, images, faults, problems } = await enumerate(scenario);
      t.diagnostic(`${steps} steps, ${images} crash images, ${faults} failures`);
      const shown = problems.slice(0, SHOWN).join("\n\n");
      assert.equal(problems.length, 0, `${problems.length} problems:\n${shown}`);
      assert.ok(images > 0 && faults > 0, "nothing was tried");
    });
  }
}
