import assert from "node:assert/strict";
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { EntryType, type Row } from "../../common/format/row.js";
import { asRoot } from "../../common/test-needs.js";
import { RestoreKind } from "../../proto/data/restore.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import { data, end, file, noise, restoreInto, row, rows } from "./test-messages.js";

const content = noise(500, 1);
let top = "";
beforeEach(() => {
  top = testDirectory("born-right");
});
afterEach(() => removeTree(top));

/** Restores the files below a directory `a`, as mode, owner and group found afterwards. */
async function restored(where: string, files: Row[]): Promise<Record<string, number[]>> {
  const { errors } = await restoreInto(
    [
      rows(RestoreKind.make, row("a", EntryType.directory)),
      ...files.map((each) => data([each, content])),
      rows(RestoreKind.folders, row("a", EntryType.directory)),
      end(),
    ],
    { where },
  );
  assert.deepEqual(errors, []);
  return Object.fromEntries(
    files.map(({ key }) => {
      const { mode, uid, gid } = lstatSync(`${where}/${key.replaceAll("\0", "/")}`);
      return [key.replaceAll("\0", "/"), [mode & 0o7777, uid, gid]];
    }),
  );
}

const FILES: Record<string, number[]> = {
  "a/1": [0o644, 0, 0],
  "a/2": [0o666, 0, 0],
  "a/3": [0o000, 0, 0],
  "a/4": [0o4755, 0, 0],
  "a/5": [0o755, 1234, 0],
  "a/6": [0o640, 0, 4321],
};
const wanted = Object.entries(FILES).map(([path, [mode, uid, gid]]) =>
  file(path, content, { mode: mode!, uid: uid!, gid: gid! }),
);

test("owner and mode in a new directory, whatever the umask leaves out", async (t) => {
  if (!asRoot(t)) return;
  assert.deepEqual(await restored(`${top}/new`, wanted), FILES);
});

test("a new directory that inherits a group does not hand it on", async (t) => {
  if (!asRoot(t)) return;
  mkdirSync(`${top}/shared`);
  chownSync(`${top}/shared`, 0, 4321);
  chmodSync(`${top}/shared`, 0o2775);
  assert.deepEqual(await restored(`${top}/shared/new`, wanted), FILES);
});
