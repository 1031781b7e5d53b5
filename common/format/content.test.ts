import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import {
  CHUNK_MAX_BYTES,
  CHUNK_MIN_BYTES,
  contentDigest,
  encodePart,
  findCut,
  PART_BYTES,
  PartsIdentity,
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

test("content is named by BLAKE3", () => {
  // Of the test vectors of the reference implementation: bytes i % 251, without a key, the first 32 bytes.
  const vectors: [number, string][] = [
    [0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
    [1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"],
    [1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"],
    [102_400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"],
  ];
  for (const [length, digest] of vectors)
    assert.equal(contentDigest(Uint8Array.from({ length }, (_, i) => i % 251)).toString("hex"), digest);
});

test("the identity of parts is the documented digest", () => {
  const parts = Buffer.alloc(2 * PART_BYTES);
  let at = encodePart(parts, 0, 5, contentDigest(Buffer.from("hello")));
  at = encodePart(parts, at, 0x8000_0000, ZERO_DIGEST);
  assert.equal(at, parts.length);
  assert.equal(parts.readUInt32LE(PART_BYTES), 0x8000_0000);
  const whole = new PartsIdentity();
  whole.add(parts);
  const pieces = new PartsIdentity();
  pieces.add(parts.subarray(0, PART_BYTES));
  pieces.add(parts.subarray(PART_BYTES));
  const expected = contentDigest(Buffer.concat([Buffer.from("basalt parts 1\n"), parts])).toString("hex");
  assert.equal(whole.digest().toString("hex"), expected);
  assert.equal(pieces.digest().toString("hex"), expected);
});

test("an identity that is taken leaves nothing to the next one", () => {
  const parts = Buffer.alloc(PART_BYTES, 1);
  const take = (): string => {
    const identity = new PartsIdentity();
    identity.add(parts);
    return identity.digest().toString("hex");
  };
  const [first, second] = [take(), take()];
  assert.equal(second, first);
  const taken = new PartsIdentity();
  taken.digest();
  assert.throws(() => taken.add(parts), /taken already/);
  assert.throws(() => taken.digest(), /taken already/);
});
