import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import {
  CHUNK_MAX_BYTES,
  CHUNK_MIN_BYTES,
  encodePart,
  findCut,
  PART_BYTES,
  PartsIdentity,
  sha256,
  ZERO_DIGEST,
} from "./content.js";

const DATA = new Random(7).bytes(6 * 1024 * 1024);

function cuts(bytes: Uint8Array): number[] {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    at = findCut(bytes, at, bytes.length);
    out.push(at);
  }
  return out;
}

test("chunks keep their bounds and cover everything", () => {
  const ends = cuts(DATA);
  assert.equal(ends.at(-1), DATA.length);
  const sizes = ends.map((end, i) => end - (ends[i - 1] ?? 0));
  for (const size of sizes.slice(0, -1)) assert.ok(size > CHUNK_MIN_BYTES && size <= CHUNK_MAX_BYTES);
  const mean = DATA.length / sizes.length;
  assert.ok(mean > 64 * 1024 && mean < 256 * 1024, `mean ${mean}`);
});

test("cuts are frozen: changing them would end the finding of content stored before", () => {
  const digest = createHash("sha256").update(cuts(DATA).join(" ")).digest("hex");
  assert.equal(digest, FROZEN_CUTS);
});
const FROZEN_CUTS = "d62520add0bcf766b213371b10f911463b278dbc44ffdf6e2902d53ddfd1a013";

test("cuts are those of the plain definition, wherever in memory the bytes lie", () => {
  const gear = Array.from({ length: 256 }, (_, i) =>
    createHash("sha256").update(`basalt gear 1 ${i}`).digest().readInt32LE(0),
  );
  const plain = (bytes: Uint8Array, start: number, end: number): number => {
    if (end - start <= CHUNK_MIN_BYTES) return end;
    const limit = Math.min(end, start + CHUNK_MAX_BYTES);
    let roll = 0;
    for (let at = start + CHUNK_MIN_BYTES; at < limit; at++) {
      roll = ((roll << 1) + gear[bytes[at]!]!) | 0;
      if (roll >>> (at < start + 128 * 1024 ? 14 : 17) === 0) return at + 1;
    }
    return limit;
  };
  const random = new Random(8);
  for (let round = 0; round < 60; round++) {
    const start = random.below(DATA.length - CHUNK_MAX_BYTES);
    const end = start + random.below(CHUNK_MAX_BYTES) + 1;
    const bytes = DATA.subarray(random.below(8));
    assert.equal(findCut(bytes, start, end - 8), plain(bytes, start, end - 8), `${start} ${end}`);
  }
});

test("inserted bytes move cuts only near them", () => {
  const before = cuts(DATA);
  const changed = Buffer.concat([
    DATA.subarray(0, 1_000_000),
    Buffer.from("inserted"),
    DATA.subarray(1_000_000),
  ]);
  const after = new Set(cuts(changed).map((end) => end - 8));
  const kept = before.filter((end) => end > 2_500_000 && after.has(end));
  assert.deepEqual(
    kept,
    before.filter((end) => end > 2_500_000),
  );
});

test("a cut depends on the bytes of its chunk alone", () => {
  const [first, second] = cuts(DATA) as [number, number];
  assert.equal(findCut(DATA, first, first + CHUNK_MAX_BYTES), second);
  assert.equal(findCut(DATA.subarray(first), 0, CHUNK_MAX_BYTES), second - first);
});

test("the identity of parts is the documented digest", () => {
  const parts = Buffer.alloc(2 * PART_BYTES);
  let at = encodePart(parts, 0, 5, sha256(Buffer.from("hello")));
  at = encodePart(parts, at, 0x8000_0000, ZERO_DIGEST);
  assert.equal(at, parts.length);
  assert.equal(parts.readUInt32LE(PART_BYTES), 0x8000_0000);
  const whole = new PartsIdentity();
  whole.add(parts);
  const pieces = new PartsIdentity();
  pieces.add(parts.subarray(0, PART_BYTES));
  pieces.add(parts.subarray(PART_BYTES));
  const expected = createHash("sha256").update("basalt parts 1\n").update(parts).digest("hex");
  assert.equal(whole.digest().toString("hex"), expected);
  assert.equal(pieces.digest().toString("hex"), expected);
});
