import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS } from "./commands.js";
import { findByPrefix, parseIdList, parseLine, splitWords } from "./grammar.js";

test("words, quotes and escapes", () => {
  assert.deepEqual(splitWords('run job="a b" yes'), ["run", "job=a b", "yes"]);
  assert.deepEqual(splitWords('x "a \\"b\\" c"'), ["x", 'a "b" c']);
  assert.deepEqual(splitWords('comment="" where=/'), ["comment=", "where=/"]);
  assert.deepEqual(splitWords("mark caf\\303\\251 a\\ b"), ["mark", "caf\\303\\251", "a b"]);
  assert.deepEqual(splitWords('open "quote here'), ["open", "quote here"]);
  assert.deepEqual(splitWords("   "), []);
});

test("keywords in any order and case, values as typed", () => {
  const { command, args } = parseLine("run JOB=Nightly Level=full yes Storage=File1");
  assert.equal(command, "run");
  assert.equal(args.value("job"), "Nightly");
  assert.equal(args.value("level"), "full");
  assert.ok(args.has("yes"));
  assert.deepEqual(args.bare(), ["yes"]);
  assert.equal(parseLine('regexwhere="!a!b=c,d!"').command, "regexwhere=!a!b=c,d!");
  assert.deepEqual(parseLine("restore file=/a file=/b").args.values("file"), ["/a", "/b"]);
});

test("a first word is a whole name or the first in table order that begins with it", () => {
  const named = (word: string) => findByPrefix(COMMANDS, word)?.name;
  assert.equal(named("st"), "status");
  assert.equal(named("M"), "messages");
  assert.equal(named("sql"), "sqlquery");
  assert.equal(named("re"), "restore");
  assert.equal(named("l"), "label");
  assert.equal(named("ll"), "llist");
  assert.equal(named("wait"), "wait");
  assert.equal(named("use"), "use");
  assert.equal(named("nosuch"), undefined);
  assert.equal(named(""), undefined);
});

test("lists of numbers", () => {
  assert.deepEqual(parseIdList("1,2,5-7,2"), [1, 2, 5, 6, 7]);
  assert.equal(parseIdList("1,x"), undefined);
  assert.equal(parseIdList("0"), undefined);
  assert.equal(parseIdList("7-5"), undefined);
  assert.equal(parseIdList("1-999999999"), undefined);
  assert.equal(parseIdList("1-9999,1-9999"), undefined);
});
