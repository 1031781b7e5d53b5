/** Imports of whole configurations, tried with the loaders of all daemons. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { readBaculaConfig } from "../../common/bacula/parser.js";
import type { BaculaDirective } from "../../common/bacula/syntax.js";
import { NAMED_CONSOLE_HOST } from "../../common/tls/identity.js";
import { loadTls } from "../../common/tls/load.js";
import { loadConsoleConfig } from "../../console/config.js";
import { loadFiledConfig } from "../../filed/config.js";
import { loadStoragedConfig } from "../../storaged/config.js";
import { at, director, importInto, ORIGINALS } from "./imported.js";

const hard = await importInto("hard", ORIGINALS);

test("what can be carried over is, and all daemons take it", () => {
  const { directory, status } = hard;
  assert.equal(status, 3);
  const config = director(directory);
  assert.deepEqual(
    [
      config.director.name,
      config.director.port,
      config.director.address,
      config.director.fdConnectTimeoutSec,
    ],
    ["hard-dir", 9101, "0.0.0.0", 180],
  );
  assert.deepEqual([...config.jobs.keys()], ["web", "Buro_1", "Copies", "Check", "Restore", "Housework"]);
  const web = config.jobs.get("web")!;
  assert.deepEqual(
    [web.client, web.fileSet, web.pool, web.storage, web.schedule, web.level, web.accurate],
    ["web-fd", "Everything", "Short Pool", "Disk", "Weekly", "Incremental", true],
  );
  assert.deepEqual(
    [web.maxRunTimeSec, web.rescheduleIntervalSec, web.maxFullIntervalSec],
    [10800, 1800, 30 * 86400],
  );
  assert.deepEqual(
    web.runScripts.map(({ command, when, onClient }) => [command, when, onClient]),
    [
      ['/usr/local/lib/backup/dump "all databases" %n', "Before", true],
      ["/bin/rm -f /var/tmp/dump.sql", "After", true],
      ["/usr/local/bin/notify %n %e", "After", false],
      ["purge jobs client=web-fd", "Before", false],
    ],
  );
  assert.deepEqual(
    [config.jobs.get("Buro_1")!.client, config.jobs.get("Buro_1")!.priority],
    ["buro-fd", 1000],
  );
  assert.equal(config.jobs.get("Check")!.verifyJob, "web");
  assert.equal(config.jobs.get("Restore")!.replace, "ifnewer");
  assert.deepEqual(config.consoles.get("watcher")!.commandAcl, ["status", ".status", "messages"]);
});

test("clients, storages, pools, schedules and messages", () => {
  const config = director(hard.directory);
  const client = config.clients.get("web-fd")!;
  assert.deepEqual(
    [client.address, client.fileRetentionSec, client.jobRetentionSec, client.dial],
    ["web.example.com", 60 * 86400, 365 * 86400, "storage"],
  );
  assert.deepEqual(
    [...config.storages.values()].map(({ name, device }) => [name, device]),
    [
      ["Disk", "Drive-1"],
      ["Disk2", "Changer"],
      ["Tapes", "LTO"],
    ],
  );
  const pool = config.pools.get("Short Pool")!;
  assert.deepEqual(
    [pool.maximumVolumeBytes, pool.volumeRetentionSec, pool.labelFormat, pool.nextPool, pool.deduplicate],
    [5 * 1024 ** 3, 30 * 86400, "Short-", "Long Pool", false],
  );
  assert.deepEqual(
    config.schedules
      .get("Weekly")!
      .runs.map(({ overrides, spec }) => [overrides, spec.kind === "bacula" && spec.text]),
    [
      [{ level: "Full", pool: "Long Pool" }, "1st sun at 23:05"],
      [{ level: "Differential" }, "2nd-5th sun at 11:05 pm"],
      [{ level: "Incremental" }, "mon-sat at 23:05"],
      [{ level: "Incremental" }, "hourly at 0:00"],
    ],
  );
  const kinds = config.messages.get("Standard")!.destinations.map(({ kind, target }) => [kind, target]);
  assert.deepEqual(
    kinds.filter(([kind]) => kind === "append" || kind === "console"),
    [
      ["console", undefined],
      ["append", "/var/log/bacula/bacula.log"],
    ],
  );
});

test("a FileSet means what it meant", () => {
  const [block] = director(hard.directory).fileSets.get("Everything")!.include;
  assert.deepEqual(block!.files, [
    "/etc",
    "/srv/with blanks",
    "</etc/bacula/list",
    "\\</etc/bacula/list-on-client",
    "|/usr/local/bin/what-to-back-up",
  ]);
  const [excluded, general] = block!.options;
  assert.deepEqual(
    [excluded!.exclude, excluded!.wildFile, excluded!.regexDir],
    [true, ["*.tmp", "*.swp"], ["^/home/[^/]+/\\.cache$"]],
  );
  assert.deepEqual(
    [general!.exclude, general!.oneFs, general!.compression, general!.signature, general!.accurate],
    [false, false, 6, "sha1", "mcs5"],
  );
  assert.deepEqual(director(hard.directory).fileSets.get("Everything")!.excludeFiles, [
    "/proc",
    "/tmp",
    "/sys",
  ]);
  assert.deepEqual(block!.excludeDirContaining, [".nobackup"]);
});

test("file and storage daemon, console, and the bundles for other machines", () => {
  const { directory } = hard;
  const filed = loadFiledConfig(at(directory, "filed.yaml"));
  assert.deepEqual([filed.name, filed.directors], ["web-fd", ["hard-dir"]]);
  assert.deepEqual(filed.hookDirectories, [at(directory, "hooks"), "/usr/local/lib/backup"]);
  const storaged = loadStoragedConfig(at(directory, "storaged.yaml"));
  assert.deepEqual(
    [storaged.name, storaged.address, storaged.directors],
    ["hard-sd", "127.0.0.1", ["hard-dir"]],
  );
  assert.deepEqual(
    [...storaged.devices.values()].map((each) => [
      each.name,
      each.archiveDevice,
      each.maximumConcurrentJobs,
      each.labelMedia,
    ]),
    [
      ["Drive-1", "/srv/backup", 5, true],
      ["Drive-2", "/srv/backup", 3, true],
      ["Plain", "/srv/plain", 10, false],
    ],
  );
  const drives = [...storaged.devices.values()].map(({ drive }) => drive && [drive.changer, drive.index]);
  assert.deepEqual(drives, [["Changer", 0], ["Changer", 1], undefined]);
  const [only] = loadConsoleConfig(at(directory, "console.yaml")).directors;
  assert.deepEqual([only!.name, only!.address, only!.port], ["hard-dir", "backup.example.com", 9101]);
  const bundle = loadFiledConfig(at(directory, "clients/buro-fd/filed.yaml"));
  assert.deepEqual(
    [bundle.name, bundle.address, bundle.port, bundle.directors],
    ["buro-fd", "0.0.0.0", 9102, ["hard-dir"]],
  );
  for (const config of [filed, storaged, bundle, director(directory).director]) loadTls(config.tls);
  const watcher = loadTls(
    loadConsoleConfig(at(directory, "consoles/watcher/console.yaml")).directors[0]!.tls,
  );
  assert.ok(watcher.certificate.subjectAltName?.includes(NAMED_CONSOLE_HOST));
  assert.ok(!loadTls(only!.tls).certificate.subjectAltName?.includes(NAMED_CONSOLE_HOST));
});

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

test("what may hold secrets is for its owner alone, and passwords are nowhere", () => {
  for (const file of filesBelow(hard.directory)) {
    const isPublic = /\.(crt|pub)$|revoked\.yaml$|\/hooks\//.test(file);
    if (!isPublic) assert.equal(statSync(file).mode & 0o077, 0, file);
    assert.doesNotMatch(readFileSync(file, "latin1"), /(dir|fd|sd|mon|console|catalog)-secret/, file);
  }
  assert.doesNotMatch(hard.report, /-secret/);
});

/** `file:line` of every directive of a tree. */
function places(directives: readonly BaculaDirective[]): { place: string; name: string }[] {
  return directives.flatMap(({ at: { file, line }, name, block }) => [
    { place: `${file}:${line}`, name },
    ...places(block ?? []),
  ]);
}

test("every directive is in the result or in the report", () => {
  const summary = /^(\d+) directives, (\d+) carried over/m.exec(hard.report)!;
  const all = ORIGINALS.flatMap((file) => readBaculaConfig([file]).resources);
  assert.equal(Number(summary[1]), all.flatMap(({ directives }) => places(directives)).length);
  for (const expected of [
    /tapes are not supported[^*]*bacula-sd\.conf:11 {2}Device "LTO"/,
    /there are no plugins: what it would have backed up is not backed up\n.*bacula-dir\.conf:67/,
    /not encrypted by the client[^*]*PKI Encryption = Yes/,
    /never run\.[\s\S]*bacula-dir\.conf:16 {2}sh -c/,
    /there are no jobs of Type Archive: this one is not run\n.*Job "Strange"/,
    /every n-th week[^\n]*\n.*Run = Full w01\/w02 mon at 1:00/,
    /the client refuses this command[^\n]*\n.*ClientRunAfterJob = "\/bin\/rm/,
    /no storage daemon has a Device of this name[^\n]*\n.*Storage "Tapes": Device = LTO/,
    /Password = …/,
  ]) {
    assert.match(hard.report, expected);
  }
  assert.equal(
    readFileSync(at(hard.directory, "import-report.txt"), "utf8").includes("WHAT TO DO NOW"),
    true,
  );
});

test("comments come along", () => {
  const text = readFileSync(at(hard.directory, "director.yaml"), "utf8");
  assert.match(text, /^ {2}# A director's file with many forms/m);
  assert.match(text, /MaxFullInterval: 1 months # months to Bacula/);
  assert.match(text, /# TLS Certificate = \/etc\/ssl\/dir\.pem\n *# {3}replaced: /);
});

test("an installation is not replaced unless that is said; then its keys stay", async () => {
  const key = readFileSync(at(hard.directory, "pki/ca.key"), "utf8");
  const certificate = readFileSync(at(hard.directory, "pki/filed.crt"), "utf8");
  const again = await importInto("hard", ORIGINALS);
  assert.equal(again.status, 1);
  assert.match(again.report, /already holds an installation \(director\.yaml, .*nothing was changed/);
  writeFileSync(at(hard.directory, "conf.d/imported-job-001.yaml"), "of an earlier import");
  assert.equal((await importInto("hard", ORIGINALS, { overwrite: true })).status, 3);
  assert.equal(readFileSync(at(hard.directory, "pki/ca.key"), "utf8"), key);
  assert.equal(readFileSync(at(hard.directory, "pki/filed.crt"), "utf8"), certificate);
  assert.deepEqual(readdirSync(at(hard.directory, "conf.d")), []);
});
