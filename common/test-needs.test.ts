import assert from "node:assert/strict";
import { test } from "node:test";
import { asRoot, skipWithout } from "./test-needs.js";

function fake(): { name: string; skip: (why?: string) => void; told: (string | undefined)[] } {
  const told: (string | undefined)[] = [];
  return { name: "a mount", skip: (why) => void told.push(why), told };
}

test("a developer's run skips and says why", () => {
  for (const environment of [{}, { CI: "" }, { CI: "false", BASALT_NO_SKIP: "0" }]) {
    const context = fake();
    skipWithout("bsdtar", context, environment);
    assert.deepEqual(context.told, ["needs bsdtar"]);
  }
});

test("where every test must run the test fails and says why", () => {
  for (const environment of [{ CI: "true" }, { BASALT_NO_SKIP: "1" }]) {
    const context = fake();
    assert.throws(() => skipWithout("root", context, environment), /"a mount" needs root, and with CI/);
    assert.deepEqual(context.told, []);
  }
});

test("root goes on", () => {
  const context = fake();
  if (process.geteuid?.() === 0) assert.equal(asRoot(context), true);
  else if (process.env.CI === undefined && process.env.BASALT_NO_SKIP === undefined)
    assert.equal(asRoot(context), false);
  else assert.throws(() => asRoot(context), /needs root/);
});
