import assert from "node:assert/strict";
import { test } from "node:test";
import { aclText } from "./acl.js";

const entry = (tag: number, rights: number, id = 0xffffffff): string => {
  const raw = Buffer.alloc(8);
  raw.writeUInt16LE(tag, 0);
  raw.writeUInt16LE(rights, 2);
  raw.writeUInt32LE(id, 4);
  return raw.toString("hex");
};

test("entries become words that acl_from_text(3) reads", () => {
  const hex = `02000000${entry(1, 6)}${entry(2, 7, 33)}${entry(4, 4)}${entry(8, 5, 54321)}${entry(16, 7)}${entry(32, 0)}`;
  const text = "user::rw-,user:33:rwx,group::r--,group:54321:r-x,mask::rwx,other::---";
  assert.equal(aclText(Buffer.from(hex, "hex")), text);
});

test("what is no ACL gives none", () => {
  for (const hex of [
    "",
    "02000000",
    "01000000",
    `03000000${entry(1, 6)}`,
    `02000000${entry(3, 6)}`,
    `02000000${entry(1, 8)}`,
  ])
    assert.equal(aclText(Buffer.from(hex, "hex")), undefined, hex);
  assert.equal(aclText(Buffer.from(`02000000${entry(1, 6)}00`, "hex")), undefined);
});
