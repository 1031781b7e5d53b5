import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { packageRoot } from "../../common/package.js";
import { toSentPool } from "../daemons/pools.js";
import { loadDirectorConfig } from "./load.js";

const directory = mkdtempSync(path.join(tmpdir(), "basalt-director-"));
after(() => rmSync(directory, { recursive: true }));

const FRAME = `
Director: {Name: dir, WorkingDirectory: var, TLS: {CaFile: pki/ca.crt, CertFile: pki/d.crt, KeyFile: pki/d.key}}
Client: [{Name: web1-fd, Address: 10.0.0.1}]
Storage: [{Name: File, Address: 10.0.0.2, Device: d}]
Pool: [{Name: Default, Storage: File}]
Schedule: [{Name: Nightly, Run: "daily at 23:05"}]
Messages: [{Name: Standard, Console: all}]
`;
const FILES = "FileSet: [{Name: Etc, Include: {File: /etc}}]\n";

function load(text: string) {
  const file = path.join(directory, "d.yaml");
  writeFileSync(file, FRAME + text);
  return loadDirectorConfig(file);
}

/** Findings of a configuration that cannot be used, without file and position. */
function problems(text: string): string[] {
  try {
    load(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.diagnostics.map((found) => formatDiagnostic(found).replace(/^.*?d\.yaml:[0-9:]* /, ""));
  }
  return assert.fail("was accepted");
}

test("the example configuration is valid and says nothing", () => {
  const config = loadDirectorConfig(path.join(packageRoot(), "conf", "director.yaml"));
  assert.deepEqual(config.warnings, []);
  assert.deepEqual([...config.jobs.keys()], ["BackupClient1", "BackupCatalog", "RestoreFiles"]);
  assert.equal(config.jobs.get("BackupClient1")?.schedule, "WeeklyCycle");
  assert.equal(config.fileSets.get("Full Set")?.include[0]?.options.length, 2);
});

test("defaults, JobDefs chains and commands", () => {
  const { jobs, director } = load(`${FILES}
JobDefs:
  - {Name: Common, Client: web1-fd, Pool: Default, FileSet: Etc, Priority: 5, RunBeforeJob: /bin/common}
  - {Name: Nightly, JobDefs: Common, Schedule: Nightly, Priority: 7}
Job:
  - Name: web1
    JobDefs: Nightly
    Base: "web1, web1"
    SampleVerify: 1%
    MaximumBandwidth: 5 MB/s
    Client Run Before Job: [/hooks/a x, /hooks/b]
    ClientRunAfterJob: /hooks/c
    RunScript: {Command: /x, RunsWhen: After, RunsOnClient: no, RunsOnFailure: yes, TimeLimit: 5 min}
`);
  const job = jobs.get("web1")!;
  assert.deepEqual([job.priority, job.schedule, job.client, job.accurate], [7, "Nightly", "web1-fd", true]);
  assert.deepEqual([job.base, job.verifySamplePercent, job.maximumBandwidth], [["web1", "web1"], 1, 5e6]);
  const shown = job.runScripts.map((s) => [
    s.command,
    s.when,
    s.onClient,
    s.onSuccess,
    s.onFailure,
    s.origin,
  ]);
  assert.deepEqual(shown, [
    ["/hooks/a x", "Before", true, true, false, "ClientRunBeforeJob"],
    ["/hooks/b", "Before", true, true, false, "ClientRunBeforeJob"],
    ["/hooks/c", "After", true, true, true, "ClientRunAfterJob"],
    ["/x", "After", false, true, true, "RunScript"],
    ["/bin/common", "Before", false, true, false, "RunBeforeJob"],
  ]);
  assert.equal(job.runScripts[3]?.timeoutSec, 300);
  assert.equal(director.ticketKeyFile, path.join(directory, "pki/ticket.key"));
  assert.ok(Object.isFrozen(job) && Object.isFrozen(job.runScripts));
});

test("dangling references, missing directives, inheritance in a ring", () => {
  const job = (rest: string) => problems(`${FILES}Job: [{Name: j, ${rest}}]\n`);
  assert.deepEqual(job("Client: web2-fd, FileSet: Etc, Pool: Default"), [
    'Client in Job "j": Client "web2-fd" is not defined; did you mean "web1-fd"?',
  ]);
  assert.deepEqual(job("Client: web1-fd, FileSet: Etc"), ['Job "j" has no Pool; a Backup job needs one']);
  assert.deepEqual(job("Type: Verify, Client: web1-fd, FileSet: Etc, Level: Full"), [
    'Level in Job "j": a Verify job takes InitCatalog, Catalog, VolumeToCatalog, DiskToCatalog, Data, not "Full"',
  ]);
  const ring = `${FILES}JobDefs: [{Name: a, JobDefs: b}, {Name: b, JobDefs: a, Client: web1-fd, FileSet: Etc, Pool: Default}]\n`;
  assert.deepEqual(problems(`${ring}Job: [{Name: j, JobDefs: a}]\n`), [
    'JobDefs in JobDefs "b": JobDefs "a" inherits itself',
  ]);
  assert.match(
    problems(`${FILES}Schedule2: 1\n`)[0]!,
    /unknown resource "Schedule2"; did you mean "Schedule"\?/,
  );
});

test("FileSet values", () => {
  const options = (text: string) =>
    load(`FileSet: [{Name: f, Include: {File: [/etc/], Options: {${text}}}}]\n`).fileSets.get("f")!
      .include[0]!.options[0]!;
  assert.equal(options("Compression: GZIP9").compression, 9);
  assert.equal(options("Compression: lzo").compression, "fast");
  assert.equal(options("BaseJob: pmugcs5, one_fs: no").oneFs, false);
  const fails = (text: string) =>
    problems(`FileSet: [{Name: f, Include: {File: [/etc], Options: {${text}}}}]\n`)[0]!;
  assert.match(fails("Compression: 20"), /"20" is not none, auto, fast, a zstd level 1 to 19/);
  assert.match(fails("Verify: pxs"), /"pxs" holds "x"/);
  assert.match(fails('Regex: "(a"'), /is not a regular expression/);
  assert.match(
    problems("FileSet: [{Name: f, Include: {File: [etc]}}]\n")[0]!,
    /"etc" is not an absolute path/,
  );
});

test("a FileSet of disk images", () => {
  const include = (text: string) =>
    load(`FileSet: [{Name: f, Include: {${text}}}]\n`).fileSets.get("f")!.include[0]!;
  const images = include(
    "Image: [/dev/vg/snap_vm1-disk*, /images/*.raw], Options: {Block Size: 128k, SkipFree: yes}",
  );
  assert.deepEqual(images.images, ["/dev/vg/snap_vm1-disk*", "/images/*.raw"]);
  assert.deepEqual(images.files, []);
  const [options] = images.options;
  assert.deepEqual([options!.blockSizeBytes, options!.skipFree], [131_072, true]);
  const fails = (text: string) => problems(`FileSet: [{Name: f, Include: {${text}}}]\n`)[0]!;
  assert.match(
    fails("Image: [images/*.raw]"),
    /"images\/\*\.raw" is not an absolute path of devices or files/,
  );
  assert.match(fails("Image: [/dev/../x]"), /is not an absolute path of devices or files/);
  for (const size of ["2k", "2M", "100000", "x"])
    assert.match(
      fails(`Image: [/a], Options: {BlockSize: ${size}}`),
      /is not a (power of two from 4k to 1M|size)/,
    );
  assert.match(fails("Root: /a"), /names no File and no Image/);
});

test("a FileSet's digest follows its content, not its form", () => {
  const digest = (text: string) => load(`FileSet: [{Name: f, ${text}}]\n`).fileSets.get("f")!.digest;
  const plain = digest("Include: {File: [/etc]}");
  assert.equal(digest("include: {files: /etc/}, Ignore FileSet Changes: yes"), plain);
  assert.notEqual(digest("Include: {File: [/etc, /var]}"), plain);
  assert.notEqual(digest("Include: {File: [/etc], Options: {Compression: none}}"), plain);
  // Directives that are not used must not make a Full of every job when the director learns them.
  assert.equal(digest("Include: {File: [/etc], Options: {SkipFree: no}}"), plain);
  assert.equal(plain, "7f6f5596d5d8ada37b13edda447c81db9068dd8d7d587311be6d943ba8de7231");
});

test("messages and schedules", () => {
  const { messages, schedules } = load(`
Include: []
Console: [{Name: c, CommandACL: "status, list", JobACL: "*all*"}]
`);
  assert.deepEqual(messages.get("Standard")?.destinations, [{ kind: "console", types: ["all"] }]);
  assert.deepEqual(schedules.get("Nightly")?.runs[0]?.spec, { kind: "bacula", text: "daily at 23:05" });
  const text = FRAME.replace("Console: all", 'Append: ["/v/l = all, !skiped"]');
  const file = path.join(directory, "m.yaml");
  writeFileSync(file, text);
  assert.throws(() => loadDirectorConfig(file), /"!skiped" is not a message type; did you mean "skipped"\?/);
});

test("retention: Keep and times of Job, JobDefs and Pool, Bareos' words, and what contradicts itself", () => {
  const { jobs, pools, warnings } = load(`${FILES}
JobDefs:
  - {Name: Common, Client: web1-fd, Pool: Default, FileSet: Etc, Consolidate: yes, Keep: {Last: 7, Daily: 14, Within: 2 days}}
Job:
  - {Name: inherits, JobDefs: Common}
  - {Name: by-time, JobDefs: Common, JobRetention: 30 days, AutoPrune: no}
  - {Name: bareos, JobDefs: Common, Always Incremental: yes, Always Incremental Keep Number: 4,
     AlwaysIncrementalJobRetention: 1 week, AlwaysIncrementalMaxFullAge: 1 month}
`);
  const keep = { last: 7, daily: 14, weekly: 0, monthly: 0, yearly: 0, withinSec: 172_800 };
  assert.deepEqual([jobs.get("inherits")!.keep, jobs.get("inherits")!.consolidate], [keep, true]);
  const timed = jobs.get("by-time")!;
  assert.deepEqual([timed.keep, timed.jobRetentionSec, timed.autoPrune], [undefined, 2_592_000, false]);
  assert.deepEqual(jobs.get("bareos")!.keep, { ...keep, last: 4, daily: 0, withinSec: 604_800 });
  assert.match(
    warnings.map((each) => each.message).join(),
    /AlwaysIncrementalMaxFullAge" in Job "bareos" has no/,
  );
  assert.equal(pools.get("Default")!.keep, undefined);
  const fails = (rest: string) =>
    problems(`${FILES}Job: [{Name: j, Client: web1-fd, FileSet: Etc, Pool: Default, ${rest}}]\n`)[0]!;
  assert.match(fails("Keep: {}"), /^Keep in Job "j" keeps nothing: give at least one of Last/);
  assert.match(
    fails("Keep: {Dayly: 3}"),
    /unknown directive "Dayly" in Keep of Job "j"; did you mean "Daily"\?/,
  );
  assert.match(fails("Keep: {Last: 3}, AlwaysIncremental: yes"), /has both "Keep" and "AlwaysIncremental"/);
  assert.match(fails("AlwaysIncremental: yes"), /would keep one run only/);
});

test("every directive of Bacula's Pool is read and goes to the storage daemon", () => {
  const pool = `
Pool:
  - Name: Default
    Storage: File
    PoolType: Backup
    MaximumVolumes: 9
    Maximum Volume Jobs: 2
    MaximumVolumeBytes: 5 GB
    VolumeUseDuration: 3 days
    VolumeRetention: 30 days
    JobRetention: 20 days
    FileRetention: 10 days
    AutoPrune: no
    Recycle: no
    RecycleOldestVolume: yes
    RecycleCurrentVolume: yes
    PurgeOldestVolume: yes
    ActionOnPurge: Truncate
    LabelFormat: "V-"
    ScratchPool: Scratch
    RecyclePool: Scratch
    NextPool: Scratch
    Keep: {Monthly: 12}
    Consolidate: yes
  - {Name: Scratch, PoolType: Scratch}
`;
  const file = path.join(directory, "p.yaml");
  writeFileSync(file, FRAME.replace("Pool: [{Name: Default, Storage: File}]\n", "") + pool);
  const config = loadDirectorConfig(file);
  const found = config.pools.get("Default")!;
  assert.deepEqual(toSentPool(found), {
    name: "Default",
    poolType: "Backup",
    deduplicate: true,
    maximumVolumes: 9,
    maximumVolumeBytes: 5e9,
    maximumVolumeJobs: 2,
    volumeUseDuration: 259_200,
    volumeRetention: 2_592_000,
    autoPrune: false,
    recycle: false,
    labelFormat: "V-",
    scratchPool: "Scratch",
    recyclePool: "Scratch",
    dedupScope: "pool",
    nextPool: "Scratch",
    recycleOldestVolume: true,
    recycleCurrentVolume: true,
    purgeOldestVolume: true,
    truncateOnPurge: true,
  });
  assert.deepEqual([found.jobRetentionSec, found.fileRetentionSec], [1_728_000, 864_000]);
  assert.deepEqual([found.keep?.monthly, found.consolidate], [12, true]);
});
