import assert from "node:assert/strict";
import { test } from "node:test";
import { isReservedKey, manifestName, memberName, parseMemberName, partName } from "./member.js";
import { GarbledInput } from "./varint.js";

test("member names come back", () => {
  assert.deepEqual(parseMemberName(12, memberName(12, "")), { kind: "entry", key: "" });
  assert.deepEqual(parseMemberName(12, memberName(12, "etc\0\xff \n")), {
    kind: "entry",
    key: "etc\0\xff \n",
  });
  const digest = Buffer.alloc(32, 0xab);
  assert.deepEqual(parseMemberName(12, partName(12, digest)), { kind: "part", digest: "ab".repeat(32) });
  assert.deepEqual(parseMemberName(12, manifestName(12, 7)), { kind: "manifest", number: 7, revision: 1 });
  assert.deepEqual(parseMemberName(12, manifestName(12, 7, 3)), { kind: "manifest", number: 7, revision: 3 });
  assert.throws(() => parseMemberName(12, "job12/.basalt/manifest.1/000007"), GarbledInput);
});

test("the reserved directory is told from its look-alikes", () => {
  assert.deepEqual([".basalt", ".basalt\0x"].map(isReservedKey), [true, true]);
  assert.deepEqual(["", ".basaltic", "a\0.basalt", ".basal"].map(isReservedKey), [
    false,
    false,
    false,
    false,
  ]);
});

test("names that lead elsewhere are refused", () => {
  const names = [
    "",
    "job1",
    "job13/a",
    "job12a",
    "/job12/a",
    "./job12/a",
    "job12/",
    "job12//a",
    "job12/a/",
    "job12/../a",
    "job12/a/..",
    "job12/./a",
    "../job12/a",
    "job12/a\0b",
    "job12/.basalt",
    "job12/.basalt/parts",
    "job12/.basalt/parts/../x",
    "job12/.basalt/other/1",
    `job12/.basalt/parts/${"A".repeat(64)}`,
    `job12/.basalt/parts/${"a".repeat(63)}`,
    `job12/.basalt/parts/${"a".repeat(64)}/x`,
    "job12/.basalt/manifest/1",
  ];
  for (const name of names)
    assert.throws(() => parseMemberName(12, name), GarbledInput, JSON.stringify(name));
});
