/** Bacula's files, start scripts and console sessions as they are, from the first start to a restore. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Site } from "./site.js";

let site: Site;

before(async () => {
  site = await Site.create();
});
after(() => site?.close());

const terminations = (text: string): string[] =>
  [...text.matchAll(/^ {2}Termination: +(.*)$/gm)].map((match) => match[1]!);

test("-t says by its status whether a file can be used, and a typing error is found", async () => {
  for (const letter of ["dir", "sd", "fd"] as const) {
    const ended = await site.daemon(letter, "-t", "-d50");
    assert.equal(ended.status, 0, ended.stderr);
  }
  assert.equal((await site.program("bconsole", "-t", "-c", site.etc("bconsole.conf"))).status, 0);
  const listed = await site.program("bconsole", "-l", "-c", site.etc("bconsole.conf"));
  assert.deepEqual([listed.status, listed.stdout], [0, "any-name\n"]);
  await site.sed("bacula-dir.conf", /Maximum Concurrent Jobs/, "Maximun Concurrent Jobs");
  const wrong = await site.daemon("dir", "-t");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /bacula-dir\.conf:9:3: .*Maximun Concurrent Jobs = 20: it is not known here/);
  await site.sed("bacula-dir.conf", /Maximun/, "Maximum");
});

test("daemons go to the background, write PID files and do not start twice", async () => {
  for (const letter of ["sd", "fd", "dir"] as const) {
    const ended = await site.daemon(letter);
    assert.equal(ended.status, 0, ended.stderr);
    const name = await readFile(`/proc/${site.pid(letter)}/comm`, "utf8");
    assert.equal(name, `bacula-${letter}\n`);
  }
  const { portBase } = site;
  assert.deepEqual(site.pidFiles(), [
    `bacula-dir.${portBase}.pid`,
    `bacula-fd.${portBase + 1}.pid`,
    `bacula-sd.${portBase + 2}.pid`,
  ]);
  const twice = await site.daemon("dir");
  assert.equal(twice.status, 1);
  assert.match(twice.stderr, /bacula-dir is already running\. pid=\d+/);
});

test("label, run, wait, messages and restore from a pipe", async () => {
  const { status, stdout, stderr } = await site.console([
    "@output /dev/null",
    "messages",
    `@output ${join(site.root, "session")}`,
    "label storage=File1 volume=TestVolume001 pool=File slot=0 drive=0",
    "run job=BackupClient1 level=Full yes",
    "wait",
    "messages",
    `restore where=${site.root}/restored select all done`,
    "yes",
    "wait",
    "messages",
    "@output",
    "quit",
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^Connecting to Director localhost:\d+\n1000 OK: 103 names-dir Version: /);
  const session = await readFile(join(site.root, "session"), "utf8");
  assert.match(session, /3000 OK label\. VolBytes=\d+ Volume="TestVolume001" Device="FileChgr1(-Dev1)?"/);
  assert.deepEqual(terminations(session), ["Backup OK", "Restore OK"], session);
  for (const name of ["hello", "large", "before"]) {
    const original = await readFile(join(site.root, "src", name));
    assert.deepEqual(await readFile(join(site.root, "restored", site.root, "src", name)), original, name);
  }
  assert.match(await readFile(join(site.root, "work/bacula.log"), "utf8"), /Termination: +Backup OK/);
  const log = await readFile(join(site.root, "work/basalt-director-names-dir/daemon.log"), "utf8");
  assert.doesNotMatch(log, /certificate of console|expires in|password"/);
});

test("files that are edited by sed count after reload, and a wrong edit does not", async () => {
  await site.sed("jobs.conf", /Name = "BackupClient1"/, 'Name = "Renamed"');
  await site.sed("bacula-dir.conf", /Volume Retention = 365 days/, "Volume Retention = 3 days");
  const first = await site.console([
    "reload",
    "run job=Renamed level=Full yes",
    "wait",
    "messages",
    "show pool=File",
    "quit",
  ]);
  assert.deepEqual(terminations(first.stdout), ["Backup OK"], first.stdout);
  assert.match(first.stdout, /VolumeRetention|VolRetention|Volume Retention/);
  await site.sed("jobs.conf", /Pool = File\n {2}SpoolAttributes/, "Pool = Nowhere\n  SpoolAttributes");
  const second = await site.console([
    "reload",
    "run job=Renamed level=Incremental yes",
    "wait",
    "messages",
    "quit",
  ]);
  assert.match(second.stdout, /jobs\.conf:\d+:\d+: .*Nowhere/);
  assert.deepEqual(terminations(second.stdout), ["Backup OK"], second.stdout);
  await site.sed("jobs.conf", /Pool = Nowhere/, "Pool = File");
  await site.sed("jobs.conf", /Name = "Renamed"/, 'Name = "BackupClient1"');
  assert.equal((await site.console(["reload", "quit"])).status, 0);
});

test("passwords decide who comes in", async () => {
  const monitor = await site.console(["status dir", "list jobs", "quit"], "monitor.conf");
  assert.equal(monitor.status, 0, monitor.stderr);
  assert.match(monitor.stdout, /names-dir Version: /);
  assert.doesNotMatch(monitor.stdout, /BackupClient1\b.*\|/);
  await site.sed("bconsole.conf", /console password/, "console passwort");
  const stranger = await site.console(["status dir", "quit"]);
  assert.equal(stranger.status, 1);
  assert.match(
    stranger.stderr,
    /^bconsole: Director: any-name on localhost:\d+ refuses: the names or passwords are not/,
  );
  await site.sed("bconsole.conf", /console passwort/, "console password");
  await site.sed("bacula-dir.conf", /"client password"/, '"another password"');
  const client = await site.console(["reload", "status client=names-fd", "quit"]);
  assert.match(
    client.stdout,
    /Client: names-fd on localhost:\d+ refuses: the names or passwords are not the same/,
  );
  await site.sed("bacula-dir.conf", /"another password"/, '"client password"');
  const again = await site.console(["reload", "status client=names-fd", "quit"]);
  assert.match(again.stdout, /names-fd Version: /);
});

test("after a restart everybody knows everybody, and nothing secret can be read by others", async () => {
  for (const letter of ["dir", "fd", "sd"] as const) await site.stop(letter);
  assert.deepEqual(site.pidFiles(), []);
  for (const name of ["director-names-dir", "filed-names-fd", "storaged-names-sd"]) {
    const pki = join(site.root, "work", `basalt-${name}`, "pki");
    assert.equal((await stat(pki)).mode & 0o077, 0, pki);
    for (const key of [
      "ca.key",
      "ticket.key",
      "director.key",
      "filed.key",
      "storaged.key",
      "director.yaml",
    ]) {
      const file = join(pki, key);
      if (existsSync(file)) assert.equal((await stat(file)).mode & 0o077, 0, file);
    }
  }
  for (const letter of ["sd", "fd", "dir"] as const) assert.equal((await site.daemon(letter)).status, 0);
  const { stdout } = await site.console([
    "run job=BackupClient1 level=Incremental yes",
    "wait",
    "messages",
    "quit",
  ]);
  assert.deepEqual(terminations(stdout), ["Backup OK"], stdout);
});

test("bls, bextract and bscan work on the volume", async () => {
  const volume = ["-c", site.etc("bacula-sd.conf"), "-V", "TestVolume001"];
  const listed = await site.program("bls", ...volume, "FileChgr1-Dev1");
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, new RegExp(`^bls JobId 1: -rw-.* 2400000 .*  ${site.root}/src/large$`, "m"));
  assert.match(listed.stdout, /^\d+ files found\.$/m);
  const jobs = await site.program("bls", "-j", ...volume, "FileChgr1");
  assert.match(jobs.stdout, /^Job 1 BackupClient1\./m);
  const target = join(site.root, "extracted");
  const extracted = await site.program("bextract", ...volume, join(site.root, "volumes"), target);
  assert.equal(extracted.status, 0, extracted.stderr);
  const large = await readFile(join(target, site.root, "src/large"), "utf8");
  assert.equal(large, await readFile(join(site.root, "src/large"), "utf8"));
  const busy = await site.program("bscan", "-s", "-m", ...volume, "FileChgr1");
  assert.equal(busy.status, 1);
  assert.match(busy.stderr, /another storaged/);
  await site.stop("sd");
  const scanned = await site.program(
    "bscan",
    "-s",
    "-m",
    ...volume,
    "-n",
    "bacula",
    "-u",
    "bacula",
    "FileChgr1",
  );
  assert.equal(scanned.status, 0, scanned.stderr);
  assert.match(scanned.stdout, /jobs can be restored/);
});
