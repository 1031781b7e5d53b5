import assert from "node:assert/strict";
import { closeSync, linkSync, openSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { makeNodeAt } from "../../common/sys/files.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import { EntryError } from "./target.js";
import { openUnfinished } from "./write.js";

const O_WRONLY = 1;
let top = "";
let fd = -1;
before(() => {
  top = testDirectory("unfinished");
  fd = openSync(top, "r");
});
after(() => {
  closeSync(fd);
  removeTree(top);
});

test("the first one makes an unfinished file, the next ones find it", () => {
  for (let i = 0; i < 2; i++) closeSync(openUnfinished(fd, "new", O_WRONLY));
  assert.equal(readFileSync(`${top}/new`, "utf8"), "");
});

test("another name of a file, a pipe that nobody reads and a symlink are refused", () => {
  writeFileSync(`${top}/victim`, "untouched");
  linkSync(`${top}/victim`, `${top}/linked`);
  assert.throws(() => openUnfinished(fd, "linked", O_WRONLY), EntryError);
  makeNodeAt(fd, "pipe", "fifo", 0o600);
  assert.throws(() => openUnfinished(fd, "pipe", O_WRONLY), { code: "ENXIO" });
  symlinkSync("victim", `${top}/symlink`);
  assert.throws(() => openUnfinished(fd, "symlink", O_WRONLY), { code: "ELOOP" });
  assert.equal(readFileSync(`${top}/victim`, "utf8"), "untouched");
});
