import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

test("what is no file is not read, whether it would end or not", async () => {
  const refused = /Cannot open (bootstrap )?file \/dev\/zero: it is no regular file\n/;
  assert.match(await transcript(director, ["restore client=vm1-fd file=</dev/zero yes"]), refused);
  assert.match(await transcript(director, ["restore bootstrap=/dev/zero yes"]), refused);
  assert.equal(director.ran.length, 0);
});

test("names that nobody types take no time: slashes, steps up", async () => {
  const slashes = `/${"/".repeat(400_000)}x`;
  const text = await transcript(director, [
    `restore client=vm1-fd file=${slashes} strip_prefix=${slashes} yes`,
  ]);
  assert.match(text, /No database record found for: \/x\n/);
  const tree = await transcript(director, [
    'restore client=vm1-fd fileset="Full Set" select',
    `mark ${slashes}`,
    `mark ${"../".repeat(100_000)}srv/a`,
    "mark ..",
    "quit",
  ]);
  assert.match(tree, /No files marked\.\n[\s\S]*\n1 file marked\.\n[\s\S]*No files marked\.\n/);
});
