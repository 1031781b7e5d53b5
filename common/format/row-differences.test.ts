import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryType, emptyRow, type Row } from "./row.js";
import { contentDifference, rowDifferences, verifyLetters } from "./row-differences.js";

const state = { ctimeSec: 9, ctimeNsec: 0, inode: 7, links: 1 };
const file: Row = {
  ...emptyRow("a", EntryType.file),
  mode: 0o644,
  uid: 1,
  gid: 2,
  size: 10,
  mtimeSec: 5,
  state,
};

test("each letter compares its own field and no other", () => {
  const cases: [string, Partial<Row>, RegExp][] = [
    ["p", { mode: 0o600 }, /^ {6}st_mode {2}differ\. Cat: 644 File: 600$/],
    ["u", { uid: 3 }, /^ {6}st_uid {3}differ\. Cat: 1 File: 3$/],
    ["g", { gid: 4 }, /^ {6}st_gid {3}differ\. Cat: 2 File: 4$/],
    ["s", { size: 11 }, /^ {6}st_size {2}differ\. Cat: 10 File: 11$/],
    ["d", { size: 9 }, /^ {6}st_size {2}decrease\. Cat: 10 File: 9$/],
    ["m", { mtimeNsec: 1 }, /^ {6}st_mtime differ\. Cat: 5 File: 5\.000000001$/],
    ["c", { state: { ...state, ctimeSec: 8 } }, /^ {6}st_ctime differ\. Cat: 9 File: 8$/],
    ["i", { state: { ...state, inode: 8 } }, /^ {6}st_ino {3}differ\. Cat: 7 File: 8$/],
    ["n", { state: { ...state, links: 2 } }, /^ {6}st_nlink differ\. Cat: 1 File: 2$/],
  ];
  for (const [letter, change, expected] of cases) {
    const [line, ...more] = rowDifferences(file, { ...file, ...change }, verifyLetters(letter));
    assert.match(line ?? "", expected);
    assert.deepEqual(more, []);
    assert.deepEqual(rowDifferences(file, { ...file, ...change }, verifyLetters("5")), []);
  }
  assert.deepEqual(rowDifferences(file, { ...file, size: 11 }, verifyLetters("d")), []);
});

test("state is compared only where both sides have it; type always", () => {
  const letters = verifyLetters("cin");
  assert.deepEqual(rowDifferences({ ...file, state: undefined }, file, letters), []);
  const link = { ...emptyRow("a", EntryType.symlink), target: "x" };
  assert.deepEqual(rowDifferences(file, link, letters), ["      type     differ. Cat: file File: symlink"]);
  assert.deepEqual(rowDifferences(link, { ...link, target: "y" }, letters), [
    "      the link's target differs",
  ]);
  const device = { ...emptyRow("a", EntryType.blockDevice), major: 8, minor: 1 };
  assert.match(
    rowDifferences(device, { ...device, minor: 2 }, letters)[0]!,
    /st_rdev {2}differ\. Cat: 8:1 File: 8:2/,
  );
});

test("letters and their default", () => {
  assert.deepEqual(verifyLetters(""), verifyLetters("pugsm"));
  assert.equal(verifyLetters("").content, false);
  assert.equal(verifyLetters("pins5").content, true);
  assert.match(
    contentDifference(Buffer.from([1]), undefined),
    /^ {6}BLAKE3 {3}differs\. Cat: 01 File: none$/,
  );
});
