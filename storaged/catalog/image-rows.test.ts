import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryType, emptyRow, RowFlag } from "../../common/format/row.js";
import { ImageRows } from "./image-rows.js";

test("images are the files with holes whose directory is not in the list", () => {
  const file = (key: string, flags: number = RowFlag.sparse, size = 9000) => ({
    ...emptyRow(key.replaceAll("/", "\0"), EntryType.file),
    flags,
    size,
  });
  const directory = (key: string) => emptyRow(key.replaceAll("/", "\0"), EntryType.directory);
  const rows = [
    file("a.img"),
    file("dev/vg/disk0"),
    file("dev/vg/disk1", RowFlag.sparse | RowFlag.parts),
    file("dev/vg/plain", 0),
    file("dev/vg/small", RowFlag.sparse, 0),
    directory("var"),
    file("var/lastlog"),
    directory("var/sub"),
    file("var/sub/sparse"),
    file("var/z"),
    file("vars/disk"),
  ];
  const sieve = new ImageRows();
  assert.deepEqual(
    rows.filter((row) => sieve.isImage(row)).map(({ key }) => key.replaceAll("\0", "/")),
    ["a.img", "dev/vg/disk0", "dev/vg/disk1", "vars/disk"],
  );
  const whole = new ImageRows();
  assert.equal(whole.isImage(directory("")), false);
  assert.equal(whole.isImage(file("top")), false);
});
