import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { packageRoot } from "../../common/package.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { loadDirectorConfig } from "./load.js";

const FRAME = `Director: {Name: dir, WorkingDirectory: var, TLS: {CaFile: ca.crt, CertFile: d.crt, KeyFile: d.key}}
Client: [{Name: kvm1, Address: 10.0.0.1}]
Storage: [{Name: File, Address: 10.0.0.2, Device: d}]
Pool: [{Name: Default, Storage: File}]
FileSet: [{Name: CentOS6, Include: {Root: /srv/reference/CentOS6, File: /}}]
JobDefs: [{Name: Machine, Client: kvm1, Pool: Default, FileSet: CentOS6, Level: Base, Reference: {ExpectedMatch: 30}}]
`;

function load(job: string) {
  const file = path.join(scratchDirectory("reference"), "d.yaml");
  writeFileSync(file, `${FRAME}Job:\n  - ${job}\n`);
  return loadDirectorConfig(file).jobs;
}

function problem(job: string): string {
  try {
    load(job);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.diagnostics.map((found) => formatDiagnostic(found).replace(/^.*?d\.yaml:/, "")).join("\n");
  }
  return assert.fail("was accepted");
}

test("what a Base job builds, with its own name where none is given", () => {
  const own = "{Name: CentOS6, Client: kvm1, Pool: Default, FileSet: CentOS6, Level: Base, Reference: ";
  assert.deepEqual(load(`${own}{Builder: Kickstart, Boot Check: no}}`).get("CentOS6")?.reference, {
    name: "CentOS6",
    builder: "kickstart",
    bootCheck: false,
    expectedMatchPercent: 50,
  });
  assert.equal(
    load(`${own}{Name: CentOS6-db, ExpectedMatch: 0}}`).get("CentOS6")?.reference?.name,
    "CentOS6-db",
  );
  const inherited = load("{Name: debian12, JobDefs: Machine}").get("debian12")?.reference;
  assert.deepEqual([inherited?.name, inherited?.expectedMatchPercent], ["debian12", 30]);
  assert.equal(
    load("{Name: web, Client: kvm1, Pool: Default, FileSet: CentOS6}").get("web")?.reference,
    undefined,
  );
});

test("what it cannot be is said with its place", () => {
  assert.match(
    problem("{Name: web, JobDefs: Machine, Level: Full, Reference: {}}"),
    /^8:\d+: Reference in Job "web": only a Backup job of level Base has one, this is of level Full$/,
  );
  assert.match(
    problem("{Name: web, JobDefs: Machine, Reference: {Builder: kikstart}}"),
    /^8:\d+: Builder in Reference of Job "web": "kikstart" is not one of command, mmdebstrap, kickstart.*did you mean/,
  );
  assert.match(
    problem("{Name: web, JobDefs: Machine, Reference: {ExpectedMatch: half}}"),
    /"half" is not a percentage/,
  );
  assert.match(
    problem("{Name: web, JobDefs: Machine, Reference: {Directory: /srv}}"),
    /unknown directive "Directory"/,
  );
  assert.match(problem("{Name: web, JobDefs: Machine, Reference: yes}"), /a map of directives expected/);
});

test("the example of the documentation", () => {
  const text = readFileSync(path.join(packageRoot(), "docs", "reference-machines.md"), "utf8");
  const example = /```yaml\n(# director\.yaml\n[\s\S]*?)```/.exec(text)?.[1];
  assert.ok(example !== undefined);
  const directory = scratchDirectory("example");
  writeFileSync(path.join(directory, "example.yaml"), example);
  const rest = FRAME.split("\n").filter((line) => /^(Director|Client|Storage)/.test(line));
  const more = [
    "Pool: [{Name: Default, Storage: File}, {Name: References, Storage: File}]",
    "FileSet: [{Name: web1, Include: {File: /etc}}]",
    "Schedule: [{Name: Nightly, Run: daily at 23:05}]",
  ];
  writeFileSync(path.join(directory, "rest.yaml"), [...rest, ...more, ""].join("\n"));
  const { jobs, schedules, warnings } = loadDirectorConfig(directory);
  assert.deepEqual(warnings, []);
  assert.equal(jobs.get("CentOS6")?.reference?.expectedMatchPercent, 40);
  assert.equal(schedules.get("Monthly")?.runs.length, 1);
});
