import assert from "node:assert/strict";
import { test } from "node:test";
import { Names } from "./names.js";

test("odd names get others, the same ones each time, however many are alike", () => {
  const names = new Names([]);
  assert.equal(names.of("Client", "web-fd"), "web-fd");
  assert.equal(names.of("Client", "Büro/1"), "Buro_1");
  assert.equal(names.of("Client", "Büro?1"), "Buro_1-2");
  assert.equal(names.of("Client", "Büro/1"), "Buro_1");
  assert.equal(names.of("Job", "Büro?1"), "Buro_1");
  const alike = Array.from({ length: 20_000 }, (_, each) =>
    names.of("Job", `x${String.fromCodePoint(0x4e00 + each)}`),
  );
  assert.equal(new Set(alike).size, alike.length);
  assert.equal(alike.at(-1), "x_-20000");
});
