/** The short way to read YAML against the whole parser: what the former gives, the latter gives too. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { packageRoot } from "../package.js";
import { Diagnostics } from "./diagnostics.js";
import { parsePlainYaml } from "./plain-yaml.js";
import { parseWholeYaml } from "./yaml.js";

/** What the whole parser makes of a text: its tree, or that there is something to report. */
function whole(text: string): unknown {
  const diagnostics = new Diagnostics();
  try {
    const node = parseWholeYaml("f", text, diagnostics);
    return diagnostics.all.length > 0 ? "findings" : node;
  } catch {
    return "findings";
  }
}

/** Whether the text was read by the short way; fails when that gave anything else than the whole parser. */
function compare(text: string): boolean {
  const plain = parsePlainYaml("f", text);
  if (plain !== undefined) assert.deepEqual(plain, whole(text), JSON.stringify(text));
  return plain !== undefined;
}

const PLAIN = [
  "# withdrawn\n[]\n",
  '- fingerprint: ab\n  name: ""\n- {fingerprint: cd}\n',
  "Job:\n  - Name: a\n    Run: Level=Full 1st sun at 22:05\n  - Name: b # why\n\n# end\n",
  "Job: {Name: a, File: [/etc, \"*.swp\", '~ it''s'], Options: {}}\nPool: []\n",
  "Director:   # here\n  # there\n  Name: x-dir\n  TLS: {CaFile: pki/ca.crt, KeyFile: a b.key}   \n",
  "FileSet:\n- Name: Full Set\n  Include:\n    File:\n    - /etc\n    -   /home\n    Options:\n      # first\n      - Exclude: yes\n        WildFile: ['a', b]\n",
  'Messages:\n  Mail: {a.b@example.org: "all, !saved"}\n  Operator:\n    x@y: mount\n',
  'Job:\n  Command: "say \\"hi\\" \\\\ # no comment"\n  Other: it\'s 5#6 {x} [y], z\n',
];

/** Right or wrong, but nothing that the short way may decide on. */
const NOT_PLAIN = [
  "",
  "# nothing\n",
  "just text\n",
  "Job:\n",
  "Job:\n  Name:\n  File: a\n",
  "Job: a: b\n",
  "Job: a:\n",
  "Job: &x a\nPool: *x\n",
  "Job: !tag a\n",
  "Job: |\n  a\n  b\n",
  "Job: a\n  b\n",
  "Job:\n  - a\n   b: c\n",
  'Job: "a\n  b"\n',
  'Job: "a\\nb"\n',
  'Job: "a" b\n',
  "Job: [a,\n  b]\n",
  "Job: [a: b]\n",
  "Job: {a}\n",
  "Job: {a: }\n",
  "Job: [a,, b]\n",
  "Job: [a]]\n",
  "Job:\n\tName: a\n",
  "Job: a\r\n",
  " Job: a\n  b: c\n",
  "Job:\n  - - a\n",
  "Job:\n    a: b\n  c: d\n",
  "Job:\n  a: b\n    c: d\n",
  "Job: a\n---\nJob: b\n",
  "%YAML 1.2\n---\nJob: a\n",
  "? Job\n: a\n",
  "<<: a\n",
  `Job: ${"a".repeat(2000)}\n`,
  `Job: ${"[".repeat(30)}${"]".repeat(30)}\n`,
];

test("plain texts are read as the whole parser reads them, positions included", () => {
  for (const text of PLAIN) assert.ok(compare(text), text);
});

test("whatever is not plain is left to the whole parser", () => {
  for (const text of NOT_PLAIN) assert.equal(parsePlainYaml("f", text), undefined, text);
});

test("the examples of the package need no whole parser", () => {
  const directory = path.join(packageRoot(), "conf");
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const examples = files.filter((name) => name.endsWith(".yaml"));
  assert.ok(examples.length > 0);
  for (const name of examples) assert.ok(compare(readFileSync(path.join(directory, name), "utf8")), name);
});

/** Numbers that are the same in every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const PIECES = [
  ...["Job:", "Name: a", "[]", "- ", "- x", "  ", "    ", " ", "\n", "\n  ", "\n    ", "\n  - ", "\n- "],
  ...["Name: ", "File: [a, b]", "{a: b}", "{", "}", "[", "]", ",", ", ", ":", ": ", "# c", " # c", '"q"'],
  ...[
    "'s'",
    '"',
    "'",
    "\\",
    "/etc",
    "a b",
    "*",
    "&a",
    "!x",
    "|",
    ">",
    "-",
    "--- ",
    "?",
    "%",
    "22:05",
    "~",
    "<<: ",
  ],
];

test("texts of any kind, right or wrong, are never read differently", () => {
  const random = sequence(1);
  let read = 0;
  for (let round = 0; round < 3000; round++) {
    let text = PLAIN[random(PLAIN.length)]!;
    for (let edits = 1 + random(3); edits > 0; edits--) {
      const at = random(text.length + 1);
      const gone = random(3) === 0 ? random(8) : 0;
      text = text.slice(0, at) + PIECES[random(PIECES.length)]! + text.slice(at + gone);
    }
    if (round % 3 === 0)
      text = Array.from({ length: 2 + random(14) }, () => PIECES[random(PIECES.length)]!).join("");
    if (compare(text)) read++;
  }
  assert.ok(read > 250, `only ${read} were plain`);
});
