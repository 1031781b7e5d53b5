/**
 * Volumes that were written when format 1 was frozen must be read as they were then, for ever. When one of these tests
 * fails, the program is wrong, not the file. See make-fixtures.ts for what they are.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../common/package.js";
import { listingOf, STATES, stateOf } from "./fixture-listing.js";

const DIRECTORY = join(packageRoot(), "storaged", "volume", "fixtures");
const volume = (name: string): string => join(DIRECTORY, `${name}.volume`);
const expected = (name: string): unknown => JSON.parse(readFileSync(join(DIRECTORY, `${name}.json`), "utf8"));
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const KINDS = [
  "base",
  "delta",
  "everything",
  "later-cipher",
  "later-feature",
  "later-format",
  "later-kind",
  "later-version",
  "rewritten-1",
  "rewritten-2",
  "span-1",
  "span-2",
  "torn",
  "vacuumed-1",
  "vacuumed-2",
];

test("a fixture of each kind is there", () => {
  const found = readdirSync(DIRECTORY).filter((name) => name.endsWith(".volume"));
  assert.deepEqual(found.map((name) => name.slice(0, -7)).sort(), KINDS);
});

for (const name of KINDS) {
  test(`${name} is read as ever`, async () => {
    assert.deepEqual(plain(await listingOf(volume(name))), expected(name));
  });
}

for (const [name, volumes, jobId] of STATES) {
  test(`${name}: job ${jobId} from ${volumes.join(", ")} is the same as ever`, async () => {
    assert.deepEqual(plain(await stateOf(volumes.map(volume), jobId)), expected(name));
  });
}
