import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../common/package.js";
import { MUTATIONS } from "./mutations.js";

test("what a mutation takes out is still in the product, once", () => {
  for (const { name, file, from } of MUTATIONS) {
    const text = readFileSync(join(packageRoot(), file), "utf8");
    assert.equal(text.split(from).length, 2, `${name}: ${file} has changed`);
  }
});
