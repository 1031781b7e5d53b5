import assert from "node:assert/strict";
import { test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { RecentChunks } from "./recent-chunks.js";

const digest = (number: number): Buffer => contentDigest(Buffer.from(`chunk ${number}`));
const chunk = (number: number) => ({ volume: number, length: 10 + number, owner: 1 });

test("what was noted lately is known, and not without bound", () => {
  const recent = new RecentChunks();
  for (let i = 0; i < 20_000; i++) recent.note(0, digest(i), chunk(i));
  assert.deepEqual(recent.get(0, digest(19_999)), chunk(19_999));
  assert.deepEqual(recent.get(0, digest(16_000)), chunk(16_000));
  assert.equal(recent.get(0, digest(20_000)), undefined);
  assert.equal(recent.get(0, digest(0)), undefined);
  const kept = Array.from({ length: 20_000 }, (_, i) => recent.get(0, digest(i))).filter(Boolean).length;
  assert.ok(kept >= 4096 && kept <= 8192, `${kept} kept`);
});

test("in another epoch all of it is forgotten, whether that is first seen by a question or by a note", () => {
  for (const asks of [true, false]) {
    const recent = new RecentChunks();
    recent.note(0, digest(1), chunk(1));
    if (asks) assert.equal(recent.get(1, digest(1)), undefined);
    else recent.note(1, digest(2), chunk(2));
    assert.equal(recent.get(1, digest(1)), undefined);
  }
});
