import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { ConfigError } from "../config/diagnostics.js";
import { BackupError } from "../errors.js";
import { readBaculaConfig } from "./parser.js";
import type { BaculaConfig, BaculaDirective } from "./syntax.js";
import { givenText, lineOf, listOf, plainLineOf, textOf, timeText } from "./values.js";

const directory = mkdtempSync(path.join(tmpdir(), "basalt-bacula-"));
after(() => rmSync(directory, { recursive: true }));

function put(name: string, content: string | Buffer): string {
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function read(content: string | Buffer): BaculaConfig {
  return readBaculaConfig([put("main.conf", content)]);
}

/** Directives of a Job with these lines. */
function directives(lines: string): readonly BaculaDirective[] {
  return read(`Job {\n${lines}\n}\n`).resources[0]!.directives;
}

function only(line: string): BaculaDirective {
  const [first] = directives(line);
  return first!;
}

function errorsOf(content: string | Buffer): string {
  try {
    read(content);
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    return error.message;
  }
  assert.fail(`no error for ${String(content).slice(0, 100)}`);
}

test("resources, blocks on one line, and where everything stands", () => {
  const { resources } = read(
    "Job { Name = a; Level=Full }\nFileSet{Name=b\n Include { Options { one fs=no }\nFile = /etc } }",
  );
  assert.deepEqual(
    resources.map(({ kind, directives: all }) => [kind, all.map(({ name }) => name)]),
    [
      ["Job", ["Name", "Level"]],
      ["FileSet", ["Name", "Include"]],
    ],
  );
  const include = resources[1]!.directives[1]!;
  assert.deepEqual([include.at.line, include.at.column], [3, 2]);
  assert.deepEqual(
    include.block!.map(({ name, at }) => [name, at.line]),
    [
      ["Options", 3],
      ["File", 4],
    ],
  );
  assert.equal(include.block![0]!.block![0]!.name, "one fs");
});

test("a brace in the next line, = in front of a brace, names of several words", () => {
  const [job, director] = read(
    "Job\n{\nRun Script\n {\n Command = x\n }\n}\nDirector { DirAddresses = { ip = { addr = 1.2.3.4 } } }",
  ).resources;
  assert.equal(job!.directives[0]!.name, "Run Script");
  assert.equal(job!.directives[0]!.block!.length, 1);
  assert.equal(director!.directives[0]!.block![0]!.block![0]!.words[0]!.text, "1.2.3.4");
});

test("texts as Bacula 9.6 was seen to read them", () => {
  const text = (line: string): string => textOf(only(`x = ${line}`)).text;
  const seen: readonly (readonly [line: string, text: string])[] = [
    ['"a\\"b\\\\c\\nd"', 'a"b\\cnd'],
    ["a\\b#c", "a\\b"],
    ["Full Set", "FullSet"],
    ['P2 junk here "x"', "P2"],
    ["my-name x", "my-name"],
    ["/a b", "/a"],
    ['"/x y" z', "/x y"],
    ["/a=b", "/a"],
    ["/a[b]*?!%&:~^|", "/a[b]*?!%&:~^|"],
    ["héllo", "héllo"],
    ['"@file"', "@file"],
    ['"\\\\<list"', "\\<list"],
    ["\\\\<list", "\\<list"],
    ["12a", "12a"],
  ];
  for (const [line, expected] of seen) assert.equal(text(line), expected, line);
  assert.equal(textOf(only("x = /a b, c")).ignored, "b, c");
});

test("texts over several lines", () => {
  assert.equal(textOf(only('Where = "/b\n   c"')).text, "/b\n   c");
  const many = directives('Description = "first "\n   "second"  "third"\nLevel = Full');
  assert.equal(textOf(many[0]!).text, "first secondthird");
  assert.equal(many[1]!.name, "Level");
});

test("lists, lines, sizes and times", () => {
  assert.deepEqual(listOf(only('ACL = status, .status, "two words", *all*').words), [
    "status",
    ".status",
    "two words",
    "*all*",
  ]);
  assert.equal(plainLineOf(only("Maximum Volume Bytes = 50 G")), "50 G");
  assert.equal(
    lineOf(only('Run = Level = Full Pool="De fault" 1st sun at 23:05').words),
    'Level=Full Pool="De fault" 1st sun at 23:05',
  );
  const times = {
    "3m 2 days": "3 months 2 days",
    "1h30": "1 hours 30",
    "30n": "30 minutes",
    "5 mins": "5 minutes",
  };
  for (const [given, text] of Object.entries(times)) assert.equal(timeText(given), text);
  assert.equal(timeText("2 fortnights"), "2 fortnights");
  assert.equal(timeText("soon"), "soon");
});

test("comments stay with what they belong to", () => {
  const { resources } = read(
    "# about a\nJob { # begins\n # name\n Name = a # the name\n}\n# about b\nJob { Name = b }",
  );
  const [a, b] = resources;
  assert.deepEqual(a!.comments, [" about a"]);
  assert.deepEqual(a!.directives[0]!.comments, [" begins", " name"]);
  assert.equal(a!.directives[0]!.remark, "the name");
  assert.deepEqual(b!.comments, [" about b"]);
});

test("includes: relative to their file, as values, by pattern, never commands", () => {
  put("sub/pw", "s3cret rest\n");
  put("sub/one.conf", "Job { Name = one; Password = @pw\n}\n@deeper/*.conf\n");
  put("sub/deeper/b.conf", "Job { Name = b }");
  put("sub/deeper/a.conf", "Job { Name = a }");
  put("sub/deeper/c.txt", "not a configuration");
  const config = read("@sub/one.conf\n@|\"sh -c 'rm -rf /tmp/x'\"\n@|ls\nJob { Name = last }");
  assert.deepEqual(
    config.resources.map((each) => givenText(each.directives, "name")),
    ["one", "a", "b", "last"],
  );
  assert.equal(givenText(config.resources[0]!.directives, "PASSWORD"), "s3cret");
  assert.deepEqual(
    config.commands.map(({ command, at }) => [command, at.line]),
    [
      ["sh -c 'rm -rf /tmp/x'", 2],
      ["ls", 3],
    ],
  );
  assert.equal(config.files.length, 5);
});

test("includes that go nowhere", () => {
  assert.match(
    errorsOf("@missing.conf\n"),
    /main\.conf:1:1: cannot read the include "missing\.conf": .*no such file/,
  );
  put("loop.conf", "Job { Name = x }\n@loop.conf\n");
  assert.match(errorsOf("@loop.conf\n"), /loop\.conf:2:1: .*includes itself/);
  for (let n = 0; n < 20; n++) put(`deep${n}.conf`, `@deep${n + 1}.conf\n`);
  put("deep20.conf", "Job { Name = x }\n");
  assert.match(errorsOf("@deep0.conf\n"), /nested more than 16 deep/);
  assert.match(errorsOf("@\n"), /a file name must follow @/);
  assert.match(errorsOf("@/dev/zero\n"), /not a regular file/);
  assert.throws(() => readBaculaConfig([path.join(directory, "nowhere")]), { code: "CONFIG_NOT_FOUND" });
});

test("letters: UTF-8 with a mark, UTF-16, ISO 8859-1, other line ends", () => {
  const name = (content: Buffer): string => givenText(read(content).resources[0]!.directives, "Name")!;
  assert.equal(name(Buffer.from("\ufeffJob {\r\n Name = Büro\r\n}\r\n")), "Büro");
  assert.equal(
    name(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("Job { Name = Büro }", "utf16le")])),
    "Büro",
  );
  assert.equal(name(Buffer.from("Job { Name = B\xfcro }", "latin1")), "Büro");
  assert.equal(read(Buffer.from("Job { Name = B\xfcro }", "latin1")).latin1Files.length, 1);
});

test("what is no configuration is an error with its place", () => {
  assert.match(errorsOf("Job { Name = a\n"), /main\.conf:1:1: the } that closes "Job" is missing/);
  assert.match(errorsOf("Job { Name = a }\n}\n"), /main\.conf:2:1: a } too many/);
  assert.match(
    errorsOf('Job { Name = "a\n}\n'),
    /main\.conf:1:14: the text that begins with this quote is not closed/,
  );
  assert.match(errorsOf("Job { Name a }\n"), /= or { must follow "Name a"/);
  assert.match(errorsOf("Job { Name = F Include { } }\n"), /{ in the value of "Name"/);
  assert.match(errorsOf("Job Name\n"), /{ must follow the resource "Job Name"/);
  assert.match(errorsOf("= 5\n"), /a resource such as Job/);
  assert.match(
    errorsOf('Job { "x" = 5\n = 6 }\n'),
    /a directive is expected in "Job", not "x"[\s\S]*not "="/,
  );
  assert.match(errorsOf(`Job ${"{ a ".repeat(5000)}`), /nested too deeply/);
  assert.match(errorsOf(`Job { x = ${"y".repeat(300_000)} }`), /longer than/);
  assert.ok(errorsOf("}\n".repeat(100_000)).split("\n").length <= 100);
  assert.match(errorsOf(`Job { x = ${"@nothing ".repeat(5000)}`), /more than 1000 includes/);
});

test("garbled input ends with an error or a tree", () => {
  const pieces = [
    "Job",
    "{",
    "}",
    "=",
    '"',
    "\\",
    ";",
    ",",
    "#",
    "@",
    "|",
    "\n",
    " ",
    "Name",
    "\0",
    "é",
    "<x",
    "Options",
  ];
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
  for (let round = 0; round < 300; round++) {
    const length = Math.floor(random() * 60);
    const content = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join("");
    try {
      read(content);
    } catch (error) {
      assert.ok(
        error instanceof ConfigError || error instanceof BackupError,
        `${JSON.stringify(content)}: ${error}`,
      );
    }
  }
});
