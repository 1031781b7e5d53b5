import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import { chainBefore, withoutCopies } from "./chain.js";
import { FakeDirector, NOON, transcript } from "./testing/fake-director.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

function rules(): string[] {
  const sent = director.ran.at(-1)?.restore?.selection.rules ?? [];
  return sent.map((rule) => {
    const path = Buffer.from(rule.path as Uint8Array).toString("latin1");
    return `${rule.include ? "+" : "-"}${path}${rule.recursive ? "/**" : ""}`;
  });
}

test("select all done: table, JobIds, counts, summary, yes in the next line", async () => {
  const text = await transcript(director, ["restore where=/tmp/r client=vm1-fd select all done", "yes"]);
  assert.match(text, /\| JobId \| Level \| JobFiles \| JobBytes \| StartTime {11}\| VolumeName \|/);
  assert.match(text, /You have selected the following JobIds: 1,2\n/);
  assert.match(text, /\nBuilding directory tree for JobId\(s\) 1,2 \.\.\. /);
  assert.match(text, /\n6 files inserted into the tree and marked for extraction\.\n/);
  assert.match(text, /\n6 files selected to be restored\.\n\nRun Restore job\nJobName: {9}RestoreFiles\n/);
  assert.match(text, /Where: {11}\/tmp\/r\nReplace: {9}Always\n/);
  assert.ok(text.endsWith("OK to run? (yes/mod/no): yes\nJob queued. JobId=11\n"), text);
  const { restore } = director.ran[0]!;
  assert.deepEqual(restore?.selection.jobIds, [1, 2]);
  assert.equal(restore?.filesExpected, 6);
  assert.deepEqual(rules(), ["+//**"]);
});

test("clients and FileSets are asked for when there are several", async () => {
  const text = await transcript(director, ["restore select all done yes", "2"]);
  assert.match(
    text,
    /Defined Clients:\n {5}1: vm1-fd\n {5}2: vm2-fd\nSelect the Client \(1-2\): 2\nAutomatically selected FileSet: Small Set\n/,
  );
  assert.match(text, /You have selected the following JobId: 3\n/);
});

test("before= takes the state of that moment; too early there is none", async () => {
  const then = await transcript(director, [
    'restore client=vm1-fd before="2026-11-21 10:30:00" select all done yes',
  ]);
  assert.match(then, /You have selected the following JobId: 1\n/);
  const early = await transcript(director, [
    'restore client=vm1-fd before="2026-11-20 10:30:00" select all done yes',
  ]);
  assert.ok(early.endsWith("No Full backup before 2026-11-20 10:30:00 found.\n"), early);
});

test("the tree: nothing is marked at first, marks, unmarks, lists, counts", async () => {
  const text = await transcript(director, [
    ...[
      "restore client=vm1-fd select",
      "unmark *",
      "ls",
      "cd srv",
      "ls",
      "m etc",
      "ls",
      "unmark etc/hosts",
      "ls etc",
    ],
    ...[
      "mark caf\\351",
      "mark etc/caf\\351",
      "count",
      "estimate",
      "lsmark",
      "find hos*",
      "pwd",
      "cd nosuch",
      "nonsense",
      "done",
      "no",
    ],
  ]);
  const tree = text.slice(text.indexOf("cwd is: /\n$ "));
  assert.equal(
    tree.slice(0, tree.indexOf("$ done")),
    "cwd is: /\n$ unmark *\nNo files unmarked.\n$ ls\nsrv/\n$ cd srv\ncwd is: /srv/\n" +
      "$ ls\na\na-b\netc/\n$ m etc\n3 files marked.\n$ ls\na\na-b\n*etc/\n$ unmark etc/hosts\n1 file unmarked.\n$ ls etc\n*etc/\n" +
      "$ mark caf\\351\nNo files marked.\n$ mark etc/caf\\351\n1 file marked.\n" +
      "$ count\n6 total files/dirs. 3 marked to be restored.\n" +
      "$ estimate\n6 total files; 3 marked to be restored; 7 bytes.\n" +
      "$ lsmark\n*etc/\n   *caf\\351\n$ find hos*\n/srv/etc/hosts\n$ pwd\ncwd is: /srv/\n" +
      '$ cd nosuch\nInvalid path given.\ncwd is: /srv/\n$ nonsense\nInvalid command "nonsense".  Enter "done" to exit.\n',
  );
  assert.match(text, /3 files selected to be restored\./);
  assert.ok(text.endsWith("OK to run? (yes/mod/no): no\nJob not run.\n"));
});

test("mark * marks all of a directory by one rule; directories above come along", async () => {
  const text = await transcript(director, [
    "restore client=vm1-fd select",
    "cd /srv/etc",
    "mark *",
    "done",
    "yes",
  ]);
  assert.match(text, /\n2 files marked\.\n/);
  assert.deepEqual(rules(), ["+/", "+/srv", "+/srv/etc/**"]);
});

test("nothing marked: no question follows; quit abandons", async () => {
  const done = await transcript(director, ["restore client=vm1-fd select", "done"]);
  assert.ok(done.endsWith("$ done\nNo files selected to be restored.\n"), done);
  const quit = await transcript(director, ["restore client=vm1-fd select all", "quit"]);
  assert.ok(quit.endsWith("$ quit\nRestore not done.\n"), quit);
});

test("file=, a list file, directory=: no tree, missing names are told", async () => {
  const dir = mkdtempSync(join(tmpdir(), "basalt-console-"));
  writeFileSync(join(dir, "list"), Buffer.from("/srv/a-b\n\n/srv/etc/caf\xe9\n", "latin1"));
  const text = await transcript(director, [
    `restore client=vm1-fd file=/srv/a file=<${dir}/list file=/srv/gone yes`,
  ]);
  rmSync(dir, { recursive: true });
  assert.match(text, /No database record found for: \/srv\/gone\n/);
  assert.ok(!text.includes("Building directory tree"));
  assert.deepEqual(
    rules().filter((rule) => rule.endsWith("/**")),
    ["+/srv/a/**", "+/srv/a-b/**", "+/srv/etc/caf\xe9/**"],
  );
});

test("jobid= takes exactly those runs", async () => {
  const text = await transcript(director, ["restore jobid=2 all done yes", "restore jobid=99 all done yes"]);
  assert.match(text, /You have selected the following JobId: 2\n/);
  assert.match(text, /Unable to get Job record for JobId=99/);
  assert.deepEqual(director.ran[0]?.restore?.selection.jobIds, [2]);
});

test("the menu: lists come back to it, 5 selects, 3 asks, 7 takes names, 13 leaves", async () => {
  const text = await transcript(director, ["restore", "1", "5", "1", "quit"]);
  assert.match(
    text,
    / {4}12: Select full restore to a specified Job date\n {4}13: Cancel\nSelect item: {2}\(1-13\): 1\n/,
  );
  assert.match(text, /\| 3 {5}\| vm2-fd \|/);
  assert.match(text, /Defined Clients:/);
  const three = await transcript(director, ["restore done all yes", "3", "1,2"]);
  assert.match(
    three,
    /Enter JobId\(s\), comma separated, to restore: 1,2\nYou have selected the following JobIds: 1,2\n/,
  );
  const seven = await transcript(director, ["restore yes client=vm1-fd", "7", "/srv/a", ""]);
  assert.match(seven, /Enter full filename: \/srv\/a\nEnter full filename: \n/);
  assert.match(seven, /\n1 file selected to be restored/);
  const eleven = await transcript(director, ["restore yes client=vm1-fd", "11", "1", "/srv/etc", ""]);
  assert.match(eleven, /Enter directory name: \/srv\/etc\n/);
  assert.ok(!eleven.includes("You have selected"));
  assert.ok((await transcript(director, ["restore", "13"])).endsWith("(1-13): 13\n"));
});

test("replace, where and clients in mod", async () => {
  const text = await transcript(director, [
    ...[
      "restore client=vm1-fd select all done replace=never",
      "mod",
      "9",
      "/",
      "mod",
      "11",
      "2",
      "mod",
      "5",
      "2",
      "yes",
    ],
  ]);
  assert.match(text, /Where: {11}\/\n/);
  const { restore } = director.ran[0]!;
  assert.equal(restore?.where, "");
  assert.equal(restore?.replace, "ifnewer");
  assert.equal(restore?.restoreClient, "vm2-fd");
  assert.equal(restore?.client, "vm1-fd");
});

test("the menu asks nothing twice: found JobIds, the client, the moment", async () => {
  const text = await transcript(director, [
    ...["restore current yes fileset=Full-vm1", "10", "1", "11", "/srv/etc", ""],
    ...["restore before=nonsense", 'restore before="2099-01-01 00:00:00" fileset=Full-vm1', "6", "1", "quit"],
  ]);
  assert.equal(text.match(/Select the Client/g)?.length, 2);
  assert.match(text, /You have already selected the following JobIds: 1,2\nEnter full directory names/);
  assert.ok(!text.includes("Enter date as"));
  assert.match(text, /Improper date format\./);
  assert.equal(director.ran.length, 1);
  assert.match(
    await transcript(director, ["restore client=vm1-fd select frobnicate=1 yes"]),
    /Unknown keyword: frobnicate/,
  );
  assert.equal(director.ran.length, 1);
});

test("new names by keyword: prefixes and suffix outrank an expression, all of them a directory", async () => {
  const words = "restore client=vm1-fd select all done where=/tmp/r yes";
  await transcript(director, [`${words} regexwhere="!a!b!,!c!d!i"`]);
  await transcript(director, [`${words} regexwhere=!a!b! strip_prefix=/srv add_prefix=/x add_suffix=.old`]);
  await transcript(director, [`${words} regexwhere=!a`]);
  assert.deepEqual(
    director.ran.map(({ restore }) => restore?.regexWhere),
    ["!a!b!,!c!d!i", "!^/srv(/|$)!/!i,!([^/])$!$1.old!,!^!/x!", "!a"],
  );
});

test("File Relocation in mod: built up, tried out, used, and taken back by Where", async () => {
  const text = await transcript(director, [
    "restore client=vm1-fd select all done",
    ...["mod", "10", "1", "/srv", "2", "/x", "3", ".old", "5", "/srv/etc/passwd", "/srv/etc/", ".", "6"],
    ...["mod", "12", "mod", "13", "some options", "yes"],
  ]);
  assert.match(text, /strip_prefix=\*None\* add_prefix=\*None\* add_suffix=\*None\*\n/);
  assert.match(text, /This will replace your current Where value\n {5}1: Strip prefix\n/);
  assert.match(text, / {5}6: Use this \?\nSelect parameter to modify \(1-6\): 1\n/);
  assert.match(text, /Please enter the path prefix to strip: \/srv\nstrip_prefix=\/srv add_prefix=\*None\*/);
  assert.match(text, /add_suffix=\.old result=!\^\/srv\(\/\|\$\)!\/!i,/);
  assert.match(text, /Enter a period \(\.\) to stop this test\n/);
  assert.match(text, /filename to test: \/srv\/etc\/passwd\n\/srv\/etc\/passwd -> \/x\/etc\/passwd\.old\n/);
  assert.match(text, /\/srv\/etc\/ -> \/x\/etc\/\n/);
  assert.match(text, /RegexWhere: {6}!\^\/srv/);
  assert.match(text, /You must set the bootstrap file to NULL to be able to specify a JobId\.\n/);
  assert.match(text, /Please Plugin Options string: some options\n/);
  assert.equal(director.ran[0]?.restore?.regexWhere, "!^/srv(/|$)!/!i,!([^/])$!$1.old!,!^!/x!");
  const back = await transcript(director, [
    "restore client=vm1-fd select all done",
    ...["mod", "10", "4", "!(!x!", "5", "6", "mod", "10", "4", "!a!b!", "6", "mod", "9", "/r", "yes"],
  ]);
  assert.match(back, /regexwhere=!\(!x!\nCannot use your regexp\. /);
  assert.equal(director.ran[1]?.restore?.regexWhere, undefined);
  assert.equal(director.ran[1]?.restore?.where, "/r");
});

test("the chain: newest Full, newest Differential after it, Incrementals after that, of one job", () => {
  let at = 0;
  const job = (jobId: number, level: string, jobName = "a", status = "T") =>
    ({ jobId, level, jobName, status, startMs: ++at, storage: "s" }) as never;
  const jobs = [
    ...[job(1, "Full"), job(2, "Incremental"), job(3, "Full"), job(4, "Incremental"), job(5, "Differential")],
    ...[
      job(6, "Incremental"),
      job(7, "Incremental", "a", "E"),
      job(8, "Incremental", "b"),
      job(9, "Incremental"),
    ],
  ];
  const ids = (before: number) => chainBefore(jobs, before).map((each) => each.jobId);
  assert.deepEqual(ids(100), [3, 5, 6, 9]);
  assert.deepEqual(ids(4), [3, 4]);
  assert.deepEqual(ids(2), [1, 2]);
  assert.deepEqual(ids(0), []);
});

test("what the catalog says a run builds on counts; copies stand back while their originals are there", () => {
  const job = (jobId: number, level: string, startMs: number, more: object = {}) =>
    ({
      jobId,
      uuid: `u${jobId}`,
      level,
      jobName: "a",
      status: "T",
      startMs,
      type: "B",
      copyOf: "",
      chain: [],
      ...more,
    }) as never;
  const idsOf = (jobs: { jobId: number }[]) => jobs.map(({ jobId }) => jobId);
  const virtual = [
    ...[job(1, "Full", 1), job(2, "Incremental", 2, { chain: [1] }), job(3, "VirtualFull", 2)],
    job(4, "Incremental", 4, { chain: [3] }),
  ];
  assert.deepEqual(idsOf(chainBefore(virtual, 100)), [3, 4]);
  assert.deepEqual(idsOf(chainBefore(virtual, 3)), [3]);
  // A migrated Full keeps its time and what lay over it.
  const migrated = [job(9, "Full", 1, { copyOf: "u1" }), job(2, "Incremental", 2, { chain: [9] })];
  assert.deepEqual(idsOf(chainBefore(migrated, 100)), [9, 2]);
  const copied = [
    ...[job(1, "Full", 1), job(2, "Incremental", 2, { chain: [1] })],
    ...[
      job(5, "Full", 1, { type: "C", copyOf: "u1" }),
      job(6, "Incremental", 2, { type: "C", copyOf: "u2", chain: [5] }),
    ],
  ];
  assert.deepEqual(idsOf(chainBefore(withoutCopies(copied, false), 100)), [1, 2]);
  assert.deepEqual(idsOf(chainBefore(withoutCopies(copied, true), 100)), [5, 6]);
  assert.deepEqual(idsOf(chainBefore(withoutCopies(copied.slice(2), false), 100)), [5, 6]);
});
