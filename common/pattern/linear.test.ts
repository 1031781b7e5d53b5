import assert from "node:assert/strict";
import { test } from "node:test";
import { codesOf, LinearPattern, PatternError } from "./linear.js";

function groups(pattern: string, text: string, ignoreCase = false): (string | undefined)[] | undefined {
  const found = LinearPattern.parse(pattern, ignoreCase).find(codesOf(text), 0);
  const chars = Array.from(text);
  return found?.map((group) => group && chars.slice(group[0], group[1]).join(""));
}

test("finds what POSIX extended expressions mean", () => {
  const cases: [string, string, (string | undefined)[] | undefined][] = [
    ["b+", "abbbc", ["bbb"]],
    ["^/(home|var)/([^/]*)", "/var/log/x", ["/var/log", "var", "log"]],
    ["([^/])$", "/a/b", ["b", "b"]],
    ["a|ab|c", "xab", ["a"]],
    ["(a*)*", "aa", ["aa", "aa"]],
    ["(a|b)*c", "abac", ["abac", "a"]],
    ["x{2,3}", "axxxx", ["xxx"]],
    ["x{2}$", "xxx", ["xx"]],
    ["(x)?y", "y", ["y", undefined]],
    ["[[:digit:]]+", "a12", ["12"]],
    ["[^a-c]", "abcd", ["d"]],
    ["[]a]", "]", ["]"]],
    ["a\\.b", "a.b", ["a.b"]],
    ["a\\.b", "axb", undefined],
    ["\\<b", "ab b", ["b"]],
    ["*a", "*a", ["*a"]],
    ["a{,2}", "a{,2}", ["a{,2}"]],
    ["ü.", "xü\u{1f600}", ["ü\u{1f600}"]],
    ["", "abc", [""]],
    ["$", "abc", [""]],
  ];
  for (const [pattern, text, expected] of cases) assert.deepEqual(groups(pattern, text), expected, pattern);
  assert.deepEqual(groups("ÄB[c-d]", "äbD", true), ["äbD"]);
});

test("agrees with JavaScript's engine on random expressions", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const expression = (depth: number): string => {
    const kind = random(depth > 0 ? 7 : 3);
    if (kind < 2) return "ab"[kind]!;
    if (kind === 2) return ["[ab]", ".", "c"][random(3)]!;
    if (kind === 3) return `(${expression(depth - 1)}|${expression(depth - 1)})`;
    if (kind === 4) return `(${expression(depth - 1)})${["?", "{1,2}", "{2}"][random(3)]}`;
    if (kind === 5) return `${"abc"[random(3)]}${["*", "+"][random(2)]}`;
    return expression(depth - 1) + expression(depth - 1);
  };
  for (let round = 0; round < 2000; round++) {
    const pattern = expression(4);
    const text = Array.from({ length: random(8) }, () => "abcd"[random(4)]).join("");
    const found = new RegExp(pattern, "su").exec(text);
    const ours = LinearPattern.parse(pattern, false).find(codesOf(text), 0);
    const whole = found === null ? undefined : [found.index, found.index + found[0].length];
    assert.deepEqual(ours?.[0], whole, `${pattern} on ${text}`);
  }
});

test("no expression makes it try for ever", () => {
  const text = codesOf("a".repeat(4000));
  for (const pattern of ["(a+)+$b", "(a*)*b", "(a|a|aa)+b", "(.*)(.*)(.*)(.*)(.*)b", "a{1,200}a{1,200}b"])
    assert.equal(LinearPattern.parse(pattern, false).find(text, 0), undefined);
  for (const pattern of [
    "(",
    ")",
    "[a",
    "a\\",
    "a{3,2}",
    "(a)\\1",
    "a{999}",
    "(((a{200}){200}){200})",
    "a{0}{255}{255}{255}{255}{255}",
    "(".repeat(2000),
  ])
    assert.throws(() => LinearPattern.parse(pattern, false), PatternError, pattern);
});
