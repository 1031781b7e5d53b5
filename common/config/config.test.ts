import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { Diagnostics, formatDiagnostic, nearestName } from "./diagnostics.js";
import { loadConfig } from "./load.js";
import { readResources, resourceName } from "./resources.js";
import { readConfigSource } from "./source.js";
import { type BlockSpec, duration, listOf, text } from "./spec.js";

const root = mkdtempSync(path.join(tmpdir(), "basalt-config-"));
after(() => rmSync(root, { recursive: true }));

let counter = 0;
/** Writes files below a fresh directory; gives the path of the first. */
function write(files: Record<string, string | Buffer>): string {
  const directory = path.join(root, String(counter++));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), content);
  }
  return path.join(directory, Object.keys(files)[0]!);
}

const directives = { name: resourceName(), maxRunTime: duration(), file: listOf(text()) };
const JOB: BlockSpec<typeof directives> = { directives };

/** Findings of a load, without the directory in front. */
function findings(files: Record<string, string | Buffer>): string[] {
  const diagnostics = new Diagnostics();
  const file = write(files);
  readResources(readConfigSource(file, diagnostics), { Job: JOB }, diagnostics);
  return diagnostics.all.map(formatDiagnostic).map((line) => line.replaceAll(`${path.dirname(file)}/`, ""));
}

test("names match without case, blanks, _ and -; scalars keep their text", () => {
  const diagnostics = new Diagnostics();
  const file = write({ "a.yaml": 'job: {NAME: 007, "max_run-Time": 5h, File: [yes, 1e3]}' });
  const { Job } = readResources(readConfigSource(file, diagnostics), { Job: JOB }, diagnostics);
  assert.deepEqual(diagnostics.all, []);
  assert.deepEqual(Job.get("007")?.values, { name: "007", maxRunTime: 18000, file: ["yes", "1e3"] });
});

test("findings name place, value and nearest name", () => {
  assert.deepEqual(findings({ "a.yaml": "Job:\n  - Name: web1\n    MaxRunTmie: 5h\n" }), [
    'a.yaml:3:5: unknown directive "MaxRunTmie" in Job "web1"; did you mean "MaxRunTime"?',
  ]);
  assert.deepEqual(findings({ "a.yaml": "Job:\n  - Name: web1\n    MaxRunTime: soon\n" }), [
    'a.yaml:3:17: MaxRunTime in Job "web1": "soon" is not a duration (such as 30d, 5h, 1 month, 2 hours 30 min)',
  ]);
  assert.deepEqual(findings({ "a.yaml": "Jobb: {Name: a}\n" }), [
    'a.yaml:1:1: unknown resource "Jobb"; did you mean "Job"?',
  ]);
  assert.deepEqual(findings({ "a.yaml": "Job:\n- {Name: a}\n- {Name: a}\n" }), [
    'a.yaml:3:10: Job "a" is defined twice; first at a.yaml:2:3',
  ]);
  assert.deepEqual(findings({ "a.yaml": "Job:\n  Name: a\n  File: /x\n  file: /y\n" }), [
    'a.yaml:4:3: directive "file" is given twice in Job "a"; first in line 3 (several values are written as one list)',
  ]);
  assert.deepEqual(findings({ "a.yaml": "Job: {MaxRunTime: 1h}\n" }), ["a.yaml:1:6: this Job has no Name"]);
  assert.deepEqual(findings({ "a.yaml": 'Job: {Name: "../x"}\n' }).length, 1);
});

test("included files are read in order of their names and named in findings", () => {
  const found = findings({
    "a.yaml": 'Include: ["@conf.d/*.yaml"]\nJob: {Name: a}\n',
    "conf.d/b.yaml": "Job: {Name: b, Fiel: x}\n",
    "conf.d/a.yaml": "Job: {Name: a}\n",
    "conf.d/no.txt": "{",
  });
  assert.deepEqual(found, [
    'a.yaml:2:13: Job "a" is defined twice; first at conf.d/a.yaml:1:6',
    'conf.d/b.yaml:1:16: unknown directive "Fiel" in Job "b"; did you mean "File"?',
  ]);
});

test("includes: pattern without match is fine, missing file and repeated file are not", () => {
  assert.deepEqual(findings({ "a.yaml": "Include: none/*.yaml\n" }), []);
  assert.deepEqual(findings({ "a.yaml": "Include: b.yaml\n" }), [
    "a.yaml:1:10: Include: b.yaml: no such file or directory",
  ]);
  assert.match(findings({ "a.yaml": "Include: a.yaml\n" })[0]!, /is read already/);
});

test("a directory is read whole", () => {
  const file = write({ "a.yaml": "Job: {Name: a}\n", "b.yaml": "Job: {Name: b}\n", ".hidden.yaml": "{" });
  const config = loadConfig(path.dirname(file), (source, diagnostics) =>
    readResources(source, { Job: JOB }, diagnostics),
  );
  assert.deepEqual([...config.Job.keys()], ["a", "b"]);
  assert.equal(config.files.length, 2);
  assert.ok(Object.isFrozen(config.Job.get("a")?.values));
});

test("hostile YAML gives one clear line, quickly", () => {
  const lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let n = 1; n < 12; n++)
    lines.push(
      `b${n}: &a${n} [${Array(9)
        .fill(`*a${n - 1}`)
        .join(", ")}]`,
    );
  const cases: [string | Buffer, RegExp][] = [
    [`${lines.join("\n")}\n`, /more than \d+ (values|aliases)/],
    ["Job: &x {Name: a, File: [*x]}\n", /alias/],
    ["- 1\n- 2\n", /must be a map of resources/],
    ["just text\n", /must be a map of resources/],
    ["Job: {Name: a\n", /YAML syntax/],
    ["Job:\n\t- Name: a\n", /tab/i],
    ["Job: {Name: a}\n---\nJob: {Name: b}\n", /second document/],
    ["Job: {Name: !skipped}\n", /quotes around a value that starts with !/],
    ["? [a, b]\n: c\n", /must be plain text/],
    [Buffer.from("Job: {Name: \xff}\n", "latin1"), /not UTF-8/],
    ["[".repeat(200_000), /nested too deeply/],
    ["- ".repeat(100_000), /nested too deeply/],
    [`Job: "${"x".repeat(1_100_000)}"`, /larger than/],
    ["Job: *nowhere\n", /alias/i],
    ["__proto__: {Name: a}\nconstructor: 1\n", /unknown resource/],
    ["<<: {Name: a}\n", /unknown resource/],
  ];
  for (const [content, expected] of cases) {
    const found = findings({ "a.yaml": content });
    assert.ok(found.length > 0, `accepted: ${String(content).slice(0, 40)}`);
    assert.match(found[0]!, expected);
    assert.ok(found.every((line) => !line.includes("\n") && line.length < 300));
  }
});

test("an unreadable start file is not found; secrets are not repeated", () => {
  assert.throws(() => loadConfig("/nonexistent.yaml", () => ({})), {
    code: "CONFIG_NOT_FOUND",
    message: "cannot read configuration /nonexistent.yaml: no such file or directory",
  });
});

test("nearest names", () => {
  assert.equal(nearestName("Shedule", ["Pool", "Schedule"]), "Schedule");
  assert.equal(nearestName("snu", ["sun", "mon"]), "sun");
  assert.equal(nearestName("Banana", ["Pool", "Schedule"]), undefined);
});
