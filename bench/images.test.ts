import assert from "node:assert/strict";
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { changeImage, changeLengths, compareImages, makeSparse, undoChange } from "./images.js";

test("the table's change is 38 MB in 1,898 places, three quarters of them single blocks", () => {
  const lengths = changeLengths({ places: 1898, bytes: 38e6 });
  assert.equal(lengths.length, 1898);
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  assert.ok(Math.abs(bytes - 38e6) < 400_000, `${bytes}`);
  assert.equal(lengths.filter((length) => length === 4096).length, 1425);
});

test("a change is found by comparing and taken back by undoing", (context) => {
  const dir = mkdtempSync(join(tmpdir(), "images-"));
  context.after(() => rmSync(dir, { recursive: true }));
  const [image, copy] = [join(dir, "disk.raw"), join(dir, "copy.raw")];
  makeSparse(image, 64 << 20, 16);
  copyFileSync(image, copy);
  assert.deepEqual(compareImages(image, copy), []);
  const { places } = changeImage(image, "night", { places: 40, bytes: 400_000 });
  assert.equal(places, 40);
  assert.ok(compareImages(image, copy).length > 10);
  undoChange(image);
  undoChange(image);
  assert.deepEqual(compareImages(image, copy), []);
  assert.ok(readFileSync(image).equals(readFileSync(copy)));
  const fd = openSync(copy, "r+");
  writeSync(fd, Buffer.from("x"), 0, 1, (64 << 20) - 1);
  closeSync(fd);
  assert.equal(compareImages(image, copy).length, 1);
});
