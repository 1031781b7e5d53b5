/** Imports of whole configurations, tried with the loaders of all daemons. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readBaculaConfig } from "../../common/bacula/parser.js";
import type { BaculaDirective } from "../../common/bacula/syntax.js";
import { packageRoot } from "../../common/package.js";
import { loadTls } from "../../common/tls/load.js";
import { loadConsoleConfig } from "../../console/config.js";
import { runImport } from "../../director/admin/import/import.js";
import { loadDirectorConfig } from "../../director/config/load.js";
import { loadFiledConfig } from "../../filed/config.js";
import { importLoaders } from "../../scripts/cli-import.js";
import { loadStoragedConfig } from "../../storaged/config.js";

const parent = mkdtempSync(path.join(tmpdir(), "basalt-import-"));
after(() => rmSync(parent, { recursive: true }));
const fixtures = path.join(packageRoot(), "test/import/fixtures");
const loaders = await importLoaders();
const ORIGINALS = ["bacula-dir.conf", "bacula-sd.conf", "bacula-fd.conf", "bconsole.conf"].map((name) =>
  path.join(fixtures, name),
);

interface Imported {
  status: number;
  directory: string;
  report: string;
}

async function importInto(name: string, inputs: readonly string[], more = {}): Promise<Imported> {
  const directory = path.join(parent, name);
  const lines: string[] = [];
  const options = { inputs, directory, ...more };
  const status = await runImport(options, loaders, (line) => void lines.push(line));
  return { status, directory, report: lines.join("\n") };
}

function importText(name: string, text: string, more = {}): Promise<Imported> {
  const file = path.join(parent, `${name}.conf`);
  writeFileSync(file, text);
  return importInto(name, [file], more);
}

const at = (directory: string, name: string): string => path.join(directory, name);
const director = (directory: string) => loadDirectorConfig(at(directory, "director.yaml"));

/** A director's file that is complete with little. */
const SMALL = `
Director { Name = s-dir; Password = x; Messages = M; QueryFile = "/q"; WorkingDirectory = "/w"; PidDirectory = "/p" }
Messages { Name = M; console = all }
Catalog { Name = C; dbname = b; dbuser = u; dbpassword = p }
Pool { Name = P; Pool Type = Backup; Label Format = V- }
Storage { Name = S; Address = sd; Password = x; Device = D; Media Type = File }
Client { Name = c-fd; Address = c; Password = x; Catalog = C }
Schedule { Name = W; Run = mon at 1:00 }
`;

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
  loadTls(only!.tls);
  loadTls(loadConsoleConfig(at(directory, "consoles/watcher/console.yaml")).directors[0]!.tls);
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

test("a dry run writes nothing", async () => {
  const { status, directory, report } = await importInto("dry", ORIGINALS, { dryRun: true });
  assert.equal(status, 3);
  assert.match(report, /nothing was written$/);
  assert.throws(() => statSync(directory), { code: "ENOENT" });
});

test("Bareos' directories of one resource a file", async () => {
  const { status, directory, report } = await importInto("bareos", [path.join(fixtures, "bareos")]);
  assert.equal(status, 0, report);
  const config = director(directory);
  assert.deepEqual([...config.jobs.keys()], ["BackupCatalog", "RestoreFiles", "backup-bareos-fd"]);
  const job = config.jobs.get("backup-bareos-fd")!;
  assert.deepEqual(
    [job.fullPool, job.incrementalPool, job.differentialPool],
    ["Full", "Incremental", "Differential"],
  );
  assert.equal(config.clients.get("bareos-fd")!.autoPrune, false);
  assert.deepEqual(config.fileSets.get("LinuxAll")!.include[0]!.options[0]!.fsType, ["btrfs", "ext4", "xfs"]);
  assert.deepEqual(config.consoles.get("admin")!.commandAcl.slice(-2), ["!unmount", "*all*"]);
  assert.deepEqual(config.consoles.get("admin")!.jobAcl, ["*all*"]);
  const catalog = config.jobs.get("BackupCatalog")!;
  assert.match(catalog.runScripts[0]!.command, /catalog copy .*bareos\/var\/catalog"$/);
  assert.equal(catalog.runScripts.length, 1);
  assert.ok(config.fileSets.get("Catalog")!.include[0]!.files.includes(at(directory, "var/catalog")));
  assert.deepEqual([...loadStoragedConfig(at(directory, "storaged.yaml")).devices.keys()], ["FileStorage"]);
  assert.equal(loadFiledConfig(at(directory, "filed.yaml")).name, "bareos-fd");
});

test("with --deduplicate pools store equal content once, and compress", async () => {
  const job =
    "Job { Name = j; Type = Backup; Client = c-fd; FileSet = F; Pool = P; Storage = S; Messages = M }\n";
  const fileSet = "FileSet { Name = F; Include { Options { signature = MD5 }\n File = /etc } }\n".replace(
    "F; ",
    "F\n ",
  );
  const plain = director((await importText("plain", SMALL + job + fileSet)).directory);
  const saving = director(
    (await importText("saving", SMALL + job + fileSet, { deduplicate: true })).directory,
  );
  const facts = (config: typeof plain): unknown[] => [
    config.pools.get("P")!.deduplicate,
    config.fileSets.get("F")!.include[0]!.options[0]!.compression,
  ];
  assert.deepEqual(facts(plain), [false, "none"]);
  assert.deepEqual(facts(saving), [true, "auto"]);
});

test("what refers to nothing is left out with the reason, also what depends on it", async () => {
  const jobs = `
Job { Name = a; Type = Backup; Client = nobody; FileSet = F; Pool = P; Storage = S; Messages = M }
Job { Name = b; Type = Backup; Client = c-fd; FileSet = F; Pool = P; Storage = S; Messages = M; Nonsense = 5 }
Job { Name = c; Type = Verify; Client = c-fd; FileSet = F; Pool = P; Storage = S; Messages = M; Verify Job = a }
FileSet { Name = F
  Include { File = /etc
  } }
`;
  const { status, directory, report } = await importText("dangling", SMALL + jobs);
  assert.equal(status, 3);
  assert.deepEqual([...director(directory).jobs.keys()], ["b", "c"]);
  assert.match(report, /Client "nobody" is not defined/);
  assert.match(report, /Job "a" has no Client; a Backup job needs one/);
  assert.match(report, /it is not known here, and what it did is not done\n.*Nonsense = 5/);
});

test("originals that cannot be read change nothing", async () => {
  const broken = importText("broken", `${SMALL}Job { Name = "x }`);
  await assert.rejects(broken, {
    code: "CONFIG_INVALID",
    message: /broken\.conf:9:\d+: the text that begins/,
  });
  assert.throws(() => statSync(at(parent, "broken")), { code: "ENOENT" });
  await assert.rejects(importText("other", "Device { Name = D; Archive Device = /x; Media Type = File }"), {
    code: "USAGE",
    message: /none of these files is a director's/,
  });
  await assert.rejects(importText("nothing", "# nothing\n"), { code: "USAGE" });
  await assert.rejects(importText("nodir", "Job { Name = x }"), {
    message: /the resource Director is missing/,
  });
});

test("a storage daemon with nothing but tapes is left out, not the installation", async () => {
  const small = path.join(parent, "tapes-dir.conf");
  writeFileSync(small, SMALL);
  const tapes = path.join(parent, "tapes-sd.conf");
  const lines = ["Storage { Name = t-sd }", "Director { Name = s-dir }"];
  writeFileSync(
    tapes,
    [...lines, "Device { Name = D; Archive Device = /dev/nst0; Media Type = LTO }"].join("\n"),
  );
  const { status, directory, report } = await importInto("tapes", [tapes, small]);
  assert.equal(status, 3);
  assert.match(report, /tapes are not supported[^\n]*\n.*Device "D"/);
  assert.match(report, /nothing usable remains, so there is no storaged\.yaml/);
  assert.throws(() => statSync(at(directory, "storaged.yaml")), { code: "ENOENT" });
  assert.equal(director(directory).director.name, "s-dir");
});

test("passwords in commands are not shown, and the tray monitor's file is left aside", async () => {
  const more = `
Job { Name = j; Type = Backup; Client = c-fd; FileSet = F; Pool = P; Storage = S; Messages = M
  Client Run After Job = "/bin/x --password=hidden1"; Plugin Options = "mysql://root:hidden2@db user=a password: hidden3"
  Client Run Before Job = "mysqldump -phidden4 --all" }
FileSet { Name = F
  Include { File = /etc
  } }
`;
  const monitor = path.join(parent, "tray-monitor.conf");
  writeFileSync(
    monitor,
    "Monitor { Name = m; Password = x }\nClient { Name = c-fd; Address = c; Password = x }\n",
  );
  const small = path.join(parent, "hidden.conf");
  writeFileSync(small, SMALL + more);
  const { report } = await importInto("hidden", [small, monitor]);
  assert.match(report, /Client Run After Job = "\/bin\/x --password=…"/);
  assert.match(report, /Plugin Options/);
  assert.doesNotMatch(report, /hidden\d/);
  assert.match(report, /Of the tray monitor[^\n]*\n.*tray-monitor\.conf/);
});

test("many jobs are spread over files that the loader takes", async () => {
  const fileSet = "FileSet { Name = F\n Include { File = /etc\n } }\n";
  const jobs = Array.from(
    { length: 1200 },
    (_, n) =>
      `# a comment that makes it longer: ${"x".repeat(400)}\n` +
      `Job { Name = job-${n}; Type = Backup; Client = c-fd; FileSet = F; Pool = P; Storage = S; Messages = M; Schedule = W }\n`,
  );
  const { directory } = await importText("many", SMALL + fileSet + jobs.join(""));
  assert.equal(director(directory).jobs.size, 1200);
  assert.ok(
    readdirSync(at(directory, "conf.d")).filter((name) => name.startsWith("imported-job-")).length > 1,
  );
});
