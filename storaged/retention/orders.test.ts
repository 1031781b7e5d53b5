import assert from "node:assert/strict";
import { test } from "node:test";
import { keptText } from "./orders.js";

test("why a volume that is named is not pruned", () => {
  const written = { name: "V", retention: 86_400, lastWrittenMs: 1 };
  assert.match(keptText(written), /^Volume "V" is younger than Volume Retention = 1 day\.$/);
  assert.equal(keptText({ ...written, lastWrittenMs: 0 }), 'Volume "V" was never written.');
  assert.match(keptText({ ...written, retention: 0 }), /^Volume "V" is kept: Volume Retention = for ever\.$/);
});
