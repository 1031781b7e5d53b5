import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { makeImageOf } from "./disk.js";
import { Place } from "./place.js";

function newPlace(): { place: Place; parent: string } {
  const parent = scratchDirectory("place");
  return { place: new Place({ kind: "directory", path: path.join(parent, "m") }), parent };
}

const fill = (place: Place, text: string): void => writeFileSync(path.join(place.fresh, "f"), text);
const holds = (place: Place): string => readFileSync(path.join(place.path, "f"), "utf8");

test("kept, then taken back: the place shows what is in force", async () => {
  const { place, parent } = newPlace();
  await place.open();
  fill(place, "one");
  await place.swap();
  await place.keep();
  assert.deepEqual([holds(place), readdirSync(parent)], ["one", ["m"]]);
  await place.open();
  fill(place, "two");
  await place.swap();
  await place.revert();
  assert.deepEqual([holds(place), readdirSync(parent)], ["one", ["m", "m.failed"]]);
  assert.equal(readFileSync(path.join(place.failed, "f"), "utf8"), "two");
});

test("what a process that was killed left behind is put right by the next build", async () => {
  const { place, parent } = newPlace();
  mkdirSync(path.join(parent, "m.old"));
  writeFileSync(path.join(parent, "m.old", "f"), "old");
  // A link in the place of what is removed is removed itself.
  mkdirSync(path.join(parent, "precious"));
  symlinkSync(path.join(parent, "precious"), path.join(parent, "m.new"));
  await place.open();
  assert.equal(holds(place), "old");
  assert.deepEqual(readdirSync(parent), ["m", "m.new", "precious"]);
  assert.deepEqual(readdirSync(place.fresh), []);
});

test("two builds of one machine, a builder that made nothing, a place that others may write to", async () => {
  const { place, parent } = newPlace();
  await place.alone(async () => {
    await assert.rejects(
      new Place({ kind: "directory", path: place.path }).alone(async () => 1),
      /another job builds/,
    );
  });
  const image = new Place({ kind: "image", path: path.join(parent, "i") });
  await image.open();
  await assert.rejects(image.swap(), /the builder has ended, but .*i\.new is not a regular file/);
  chmodSync(parent, 0o777);
  await assert.rejects(place.open(), /may be written by its group or by others.*in a safe place only/);
  assert.ok(!existsSync(place.fresh));
});

test("an image of a tree: one partition behind a table, or none", async () => {
  const directory = scratchDirectory("image");
  const tree = path.join(directory, "tree");
  mkdirSync(tree);
  writeFileSync(path.join(tree, "hello"), "world\n");
  const quiet = { report: () => undefined, state: () => undefined, signal: new AbortController().signal };
  const tools = { ...quiet, name: "t", untilMs: Number.MAX_SAFE_INTEGER, hookDirectories: [], env: {} };
  for (const partitioned of [true, false]) {
    const file = path.join(directory, `${partitioned}.img`);
    await makeImageOf(tree, { file, sizeBytes: 32 * 1024 ** 2, partitioned }, tools);
    const offset = partitioned ? 1024 ** 2 : 0;
    const said = execFileSync("debugfs", ["-R", "cat /hello", `${file}?offset=${offset}`], {
      encoding: "utf8",
    });
    assert.equal(said, "world\n");
    if (!partitioned) continue;
    const table = JSON.parse(execFileSync("sfdisk", ["-J", file], { encoding: "utf8" })).partitiontable;
    const { start, size, type, bootable } = table.partitions[0];
    assert.deepEqual([table.label, start, size, type, bootable], ["dos", 2048, 63_488, "83", true]);
  }
  await assert.rejects(
    makeImageOf(
      tree,
      { file: path.join(directory, "true.img"), sizeBytes: 32 * 1024 ** 2, partitioned: false },
      tools,
    ),
    /cannot make the image: .*already exists/,
  );
});
