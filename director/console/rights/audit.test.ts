/** What is written down of commands, and rights that change in the middle of a session. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import type { DirectorConfig } from "../../config/types.js";
import type { ConsoleResource } from "../../config/types-console.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

test("a console whose resource is taken away does not become the administrator's", async () => {
  setRights(director, { commandAcl: ["time", "reload"] });
  const consoles = director.config.consoles as Map<string, ConsoleResource>;
  director.reload = async () => {
    consoles.delete("op");
    return { ok: true, errors: [] };
  };
  const text = await transcript(director, ["reload", "list jobs", "time"], "op");
  assert.match(text, /list: is not allowed for this console\.\ntime\ntime: is not allowed/);
});

test("an audit line for every command: who, from where, what, and the outcome; passwords never", async () => {
  setRights(director, { commandAcl: ["list", "run"], jobAcl: ["vm1"] });
  director.config = { ...director.config } as DirectorConfig;
  const lines = [
    "list jobs",
    "reload",
    "nosuch",
    'run job=vm1 comment="x" password=s3cret',
    "no",
    "run job=vm2 yes",
    ".",
  ];
  await transcript(director, lines, "op");
  const audit = director.said.filter((line) => line.startsWith("audit: "));
  assert.deepEqual(audit, [
    'audit: Console "op" from unknown: list jobs: allowed',
    'audit: Console "op" from unknown: reload: denied: not in CommandACL',
    'audit: Console "op" from unknown: nosuch: denied: invalid command',
    'audit: Console "op" from unknown: run job=vm1 comment="x" password=***: allowed',
    'audit: Console "op" from unknown: run job=vm2 yes: allowed',
  ]);
  director.said.length = 0;
  setRights(director, { fileSetAcl: [] });
  await transcript(director, ["run job=vm1 yes"], "op");
  assert.equal(director.said.length, 2);
  assert.match(director.said[1]!, /run job=vm1 yes: denied: FileSet "Full Set": not allowed/);
  await transcript(director, ["run job=vm1 yes"], "admin");
  assert.match(director.said[2]!, /Console "admin" from unknown: run job=vm1 yes: allowed/);
});
