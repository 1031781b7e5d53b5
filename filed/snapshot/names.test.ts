import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPattern, checkVmName, diskNumbers } from "./names.js";
import { ownerOfTags, ownerTags } from "./owner-tags.js";
import type { Owner } from "./types.js";

test("a machine's name is one plain word", () => {
  for (const name of ["web", "van-aps-1", "db.example.org", "A_b+c", "1"]) checkVmName(name);
  const bad = [
    "",
    "-x",
    ".",
    "..",
    "a/b",
    "a b",
    "a*",
    "%n",
    "a\n",
    "ä",
    "--help",
    "a".repeat(101),
    "a\0b",
    "a$(id)",
  ];
  for (const name of bad) assert.throws(() => checkVmName(name), { code: "VM_NAME_INVALID" }, name);
});

test("a pattern takes in a machine's own disks, whatever others are called", () => {
  const numbers = (vm: string, names: string[], pattern = "vm_%n-disk*"): (number | undefined)[] =>
    names.map(diskNumbers(pattern, vm));
  assert.deepEqual(numbers("web", ["vm_web-disk1", "vm_web-disk12", "xvm_web-disk1", "vm_web-disk1x"]), [
    ...[1, 12, undefined, undefined],
  ]);
  assert.deepEqual(numbers("web", ["vm_web-swap1", "vm_web-disk", "vm_web1-disk1", "vm_web-disk1-disk1"]), [
    ...[undefined, undefined, undefined, undefined],
  ]);
  assert.deepEqual(numbers("a.b+c", ["vm_a.b+c-disk3", "vm_axb+c-disk3", "vm_a.bbc-disk3"]), [
    3,
    undefined,
    undefined,
  ]);
  assert.deepEqual(numbers("7", ["vm-7-disk-0", "vm-71-disk-0"], "vm-%n-disk-*"), [0, undefined]);
  assert.deepEqual(numbers("web", ["web", "web1"], "%n"), [1, undefined]);
  assert.equal(diskNumbers("vm_%n-disk*", "web", "(?:\\.raw)?")("vm_web-disk2.raw"), 2);
});

test("patterns that cannot tell machines apart are refused", () => {
  for (const good of ["vm_%n-disk*", "%n", "%n.*.root", "disk*_%n"]) assert.equal(checkPattern(good), good);
  for (const bad of ["", "vm", "%n%n", "%n*", "%n1*", "%x-*", "%n-*-*", "a/%n-*", "%n-[0-9]", "%n -*"])
    assert.throws(() => checkPattern(bad), Error, bad);
});

test("an owner is found again by its tags, which LVM takes", () => {
  const owner: Owner = {
    ...{ host: "kvm-01", filed: 'fd "é" $@', resource: "disks of Ü", vm: "web", set: "00ff", disks: 2 },
    ...{ process: "12.34.ab", sinceSec: 1_700_000_000, job: { uuid: "u-1", id: 9 } },
  };
  const tags = ownerTags(owner, 3);
  for (const tag of tags) assert.match(tag, /^[A-Za-z0-9_+.][A-Za-z0-9_+./=!:&#-]*$/);
  assert.deepEqual(ownerOfTags(tags), { owner, disk: 3 });
  const { job, ...byHand } = owner;
  assert.deepEqual(ownerOfTags(ownerTags(byHand, 1)), { owner: byHand, disk: 1 });
  assert.equal(ownerOfTags(["basalt"]), undefined);
  assert.equal(ownerOfTags(tags.filter((tag) => tag !== "basalt")), undefined);
});
