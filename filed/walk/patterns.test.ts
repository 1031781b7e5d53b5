import assert from "node:assert/strict";
import { test } from "node:test";
import { textOfBytes } from "../../common/pattern/text.js";
import { compileRegex, compileWild } from "./patterns.js";

const wild = (pattern: string, text: string, options = {}): boolean =>
  compileWild(pattern, { ignoreCase: false, pathname: false, ...options })(text);

test("wildcards as fnmatch(3)", () => {
  assert.ok(wild("/a*z", "/a/b/z"));
  assert.ok(!wild("/a*z", "/a/b/z", { pathname: true }));
  assert.ok(wild("/a?b", "/a/b"));
  assert.ok(!wild("/a?b", "/a/b", { pathname: true }));
  assert.ok(!wild("/a[/]b", "/a/b", { pathname: true }));
  assert.ok(wild("[!a-c]x", "dx"));
  assert.ok(!wild("[!a-c]x", "bx"));
  assert.ok(wild("[]x]", "]"));
  assert.ok(wild("[[:digit:]]", "7"));
  assert.ok(wild("a[b", "a[b"));
  assert.ok(wild("\\*", "*"));
  assert.ok(!wild("\\*", "a"));
  assert.ok(wild("[\\]]", "]"));
  assert.ok(wild(".*", ".hidden"));
  assert.ok(wild("a+(b).c", "a+(b).c"));
  assert.ok(!wild("a.c", "abc"));
  assert.ok(wild("A*", "abc", { ignoreCase: true }));
  assert.ok(wild("*\n*", "a\nb"));
  assert.ok(wild("***", ""));
});

test("question marks stand for characters, and for bytes that are none", () => {
  assert.ok(wild("/?", textOfBytes("/\xc3\xa4")));
  assert.ok(wild("/?", textOfBytes("/\xff")));
  assert.ok(!wild("/?", textOfBytes("/\xc3\xa4x")));
  assert.ok(wild("/ä*", textOfBytes("/\xc3\xa4rger")));
  assert.ok(wild("/😀", textOfBytes("/\xf0\x9f\x98\x80")));
});

test("regular expressions as POSIX extended ones", () => {
  const regex = (pattern: string, text: string): boolean => compileRegex(pattern, false)(text);
  assert.ok(regex("\\.o$", "/a/b.o"));
  assert.ok(!regex("^b", "/b"));
  assert.ok(regex("^/(home|srv)/[^/]+/\\.cache$", "/home/u/.cache"));
  assert.ok(regex("[[:alpha:]_]+[\\.]x", "ab_.x"));
  assert.ok(regex("a{2}", "caab"));
  assert.ok(regex("a{x", "a{x"));
  assert.ok(regex("*.c", "x*yc"));
  assert.ok(regex("/a-b", "/a-b"));
  assert.ok(regex("a\\-b\\/c", "a-b/c"));
  assert.ok(regex("\\<bin\\>", "/usr/bin/x"));
  assert.ok(!regex("\\<bin\\>", "/usr/sbin/x"));
  assert.throws(() => compileRegex("a(", false), { code: "FILESET_INVALID" });
  assert.throws(() => compileRegex("a[b", false), { code: "FILESET_INVALID" });
});

test("no pattern keeps a walk busy, and the two engines say the same", () => {
  const wild = (pattern: string, text: string) =>
    compileWild(pattern, { ignoreCase: false, pathname: false })(text);
  const long = `/${"a/".repeat(2000)}`;
  assert.equal(wild(`*${"a*".repeat(30)}b`, long), false);
  assert.equal(wild(`*${"a*".repeat(30)}/`, long), true);
  assert.equal(compileRegex("(/a+)+b", false)(long), false);
  assert.equal(compileRegex("^(/a)+/$", false)(long), true);
  assert.equal(compileRegex(".*a.*a.*a.*b", false)(long), false);
  assert.equal(compileRegex("[(]a*[)]*x*", false)("(a)"), true, "a bracket is no group");
  assert.throws(() => compileRegex("(a*)*\\1", false), /back-references/);
  assert.equal(compileRegex(`^${"(a|a)".repeat(60)}b`, false)("a".repeat(60)), false);
  assert.equal(
    compileRegex("[\\]*(a+)+[]]", false)("a".repeat(60)),
    false,
    "a backslash is itself in brackets",
  );
  assert.equal(compileRegex("(x|(y|a?)){2}(a?a?)a", false)("/xa"), true);
  assert.throws(() => compileRegex("{".repeat(100_000), false), /longer than 4096/);
  for (const text of ["/x.tmp", "/tmp/x", "/a/B/c", "/"])
    for (const pattern of ["*.tmp", "/[a-t]*/?", "/*/[A-Z]/*"]) {
      const padded = text + "/.".repeat(400);
      assert.equal(wild(`${pattern}${"/.".repeat(400)}`, padded), wild(pattern, text), `${pattern} ${text}`);
    }
});
