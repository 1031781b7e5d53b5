import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import { ByteReader, ByteWriter, GarbledInput } from "./varint.js";

test("numbers come back over the whole range", () => {
  const random = new Random(1);
  const values = [
    0,
    1,
    127,
    128,
    16_383,
    16_384,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 52,
    Number.MAX_SAFE_INTEGER,
  ];
  for (let i = 0; i < 500; i++) values.push(random.below(2 ** 31) * 2 ** random.below(22));
  const out = new ByteWriter(1);
  for (const value of values) out.uint(value);
  const signed = values.filter((value) => value < 2 ** 51).flatMap((value) => [value, -value]);
  for (const value of signed) out.int(value);
  const reader = new ByteReader(out.bytes());
  for (const value of values) assert.equal(reader.uint(), value);
  // -0 is not told from 0.
  for (const value of signed) assert.equal(reader.int() + 0, value + 0);
  assert.ok(reader.done);
});

test("strings, blobs and raw bytes come back", () => {
  const out = new ByteWriter(1);
  const text = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
  out.latin1(text);
  out.blob(Buffer.from("blob"));
  out.u8(7);
  out.u32(0xfedcba98);
  out.raw(Buffer.from("rest"));
  const reader = new ByteReader(out.bytes());
  assert.equal(reader.latin1(), text);
  assert.equal(reader.blob().toString(), "blob");
  assert.equal(reader.u8(), 7);
  assert.equal(reader.u32(), 0xfedcba98);
  assert.equal(reader.rest().toString(), "rest");
});

test("a writer refuses what is no unsigned integer", () => {
  const out = new ByteWriter();
  for (const value of [-1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    assert.throws(() => out.uint(value), RangeError);
  }
});

test("a fraction is refused, not rounded", () => {
  assert.throws(() => new ByteWriter().uint(1.5), RangeError);
});

test("a reader never passes its end", () => {
  const cases: [string, (reader: ByteReader) => unknown][] = [
    ["", (reader) => reader.u8()],
    ["000000", (reader) => reader.u32()],
    ["8080", (reader) => reader.uint()],
    ["05616263", (reader) => reader.latin1()],
    ["ffffffffffffff0f00", (reader) => reader.blob()],
    ["ffffffffffffffffff01", (reader) => reader.uint()],
    ["ffffffffffffff7f", (reader) => reader.uint()],
  ];
  for (const [hex, read] of cases) {
    assert.throws(() => read(new ByteReader(Buffer.from(hex, "hex"))), GarbledInput, hex);
  }
  const inner = new ByteReader(Buffer.from("0361626364", "hex"), 0, 3);
  assert.throws(() => inner.latin1(), GarbledInput);
});
