/** New names in a restore may lead anywhere: a console that is bound to directories gets none. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

const RESTORE = "restore client=vm1-fd select all done yes";

test("WhereACL: new names need every place, also those that look like a granted directory", async () => {
  setRights(director, { whereAcl: ["/tmp/r"] });
  for (const words of [
    ...["regexwhere=!^!/tmp/r!", "add_prefix=/tmp/r", "strip_prefix=/srv where=/tmp/r"],
    ...["regexwhere=/tmp/r/,!^!/etc!", 'regexwhere="/tmp/r/"'],
  ]) {
    const text = await transcript(director, [`${RESTORE} ${words}`], "op");
    assert.match(text, /RegexWhere ".*": not allowed by this console's ACL/, words);
  }
  assert.deepEqual(director.ran, []);
  await transcript(director, [`${RESTORE} where=/tmp/r/x`], "op");
  assert.equal(director.ran.length, 1);
  for (const whereAcl of [["/"], ["*all*"]]) {
    setRights(director, { whereAcl });
    await transcript(director, [`${RESTORE} regexwhere=!^!/tmp/r!`], "op");
  }
  assert.equal(director.ran.length, 3);
});
