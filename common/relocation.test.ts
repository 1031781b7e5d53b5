import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "./errors.js";
import { Relocation, relocationOf } from "./relocation.js";

const text = (where: string, name: string): string => new Relocation(where).text(name);
const key = (where: string, path: string, isDirectory = false): string | undefined =>
  new Relocation(where).key(path.slice(1).replaceAll("/", "\0"), isDirectory)?.replaceAll("\0", "/");

test("expressions replace as Bacula's do", () => {
  const cases: [string, string, string][] = [
    ["!/prod!/test!", "/prod/a/prod", "/test/a/prod"],
    ["!/prod!/test!g", "/prod/a/prod", "/test/a/test"],
    ["!/PROD!/test!i", "/prod/a", "/test/a"],
    ["!/PROD!/test!", "/prod/a", "/prod/a"],
    ["/\\/prod/\\/rect/", "/prod/a", "/rect/a"],
    [":prod:rect:", "/prod/a", "/rect/a"],
    ["!([^/]+)/([^/]+)$!$2-\\1!", "/a/b/c", "/a/c-b"],
    ["!$!.old!", "/a", "/a.old"],
    ["!^/a!/b!,!^/b!/c!i,!x!y!g", "/a/xx", "/c/yy"],
    ["!a\\!b!c\\!d!", "/a!b", "/c!d"],
    ["!\\.txt$!.bak!", "/a.txt", "/a.bak"],
    ["!\\.txt$!.bak!", "/atxt", "/atxt"],
    ["!b!($0)!g", "/abba", "/a(b)(b)a"],
    ["!x*!-!g", "axb", "-a-b-"],
    ["!^/ü!/ö!", "/ü/x", "/ö/x"],
    ["|/a|/b|", "/a", "/b"],
  ];
  for (const [where, name, expected] of cases)
    assert.equal(text(where, name), expected, `${where} on ${name}`);
});

test("what is no expression is refused, in Bacula's words", () => {
  for (const where of [
    "",
    "/a",
    "!a!b",
    "a!b!c!",
    "!(!b!",
    "!a!$1!",
    "!a!b!x",
    "!a!b!i;!c!d!",
    "'a'b'",
    `!${"a".repeat(20_000)}!b!`,
  ])
    assert.throws(
      () => new Relocation(where),
      (error) =>
        codeOf(error) === "REGEX_WHERE" && /^Bad where regexp. where=/.test((error as Error).message),
      where,
    );
});

test("StripPrefix, AddSuffix and AddPrefix, in this order", () => {
  const all = relocationOf({ strip: "/etc", prefix: "/save", suffix: ".old" });
  assert.equal(all, "!^/etc(/|$)!/!i,!([^/])$!$1.old!,!^!/save!");
  assert.equal(text(all, "/etc/passwd"), "/save/passwd.old");
  assert.equal(text(all, "/etc/ssh/"), "/save/ssh/");
  assert.equal(text(all, "/etcetera"), "/save/etcetera.old");
  assert.equal(relocationOf({ strip: "", prefix: "" }), "");
  const odd = "/a!b.$1\\c(d/";
  assert.equal(text(relocationOf({ strip: odd }), "/a!b.$1\\c(d/e"), "/e");
  assert.equal(text(relocationOf({ prefix: odd }), "/e"), "/a!b.$1\\c(d/e");
  assert.equal(text(relocationOf({ suffix: odd }), "/e"), `/e${odd}`);
});

test("keys: directories end in a slash for the expressions, bytes stay bytes", () => {
  assert.equal(key("!/$!.d/!", "/a", true), "a.d");
  assert.equal(key("!/$!.d/!", "/a"), "a");
  assert.equal(key("!^/a/!/!", "/a", true), "");
  assert.equal(key("!a!\u00f6!", "/a\xff"), "\xc3\xb6\xff");
  assert.equal(key("!\u00f6!o!", "/\xc3\xb6"), "o");
});

test("no expression leads out of the root, and none takes for ever", () => {
  for (const where of ["!^/!!", "!a!..!", "!a!../../x!", "!^/a!/b/../../..!"])
    assert.equal(key(where, "/a/b"), undefined, where);
  assert.equal(key("!a!./b//c!", "/a"), "b/c");
  assert.equal(key("!a!\0!", "/a"), undefined);
  const long = `/${"a".repeat(4000)}`;
  assert.equal(key("!(a+)+$b!x!", long)?.length, 4000);
  assert.equal(
    key("!a!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!g", long.repeat(10)),
    undefined,
  );
});
