/** Imports of other layouts, of tapes, of what is wrong or too much. */

import assert from "node:assert/strict";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { loadFiledConfig } from "../../filed/config.js";
import { loadStoragedConfig } from "../../storaged/config.js";
import { at, director, fixtures, importInto, importText, ORIGINALS, parent, SMALL } from "./imported.js";

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

test("a console of Bareos that is denied something by a pattern is left out", async () => {
  const consoles = `
Profile { Name = most; Command ACL = "!.bvfs_.*", *all* }
Profile { Name = plain; Command ACL = !purge, *all* }
Console { Name = a; Password = x; Profile = most }
Console { Name = b; Password = x; Profile = plain }
Console { Name = c; Password = x; Profile = plain; Job ACL = "!secret-.+", *all* }
`;
  const { status, directory, report } = await importText("patterns", SMALL + consoles);
  assert.equal(status, 3);
  assert.deepEqual([...director(directory).consoles.keys()], ["b"]);
  assert.match(report, /it denies by some: !secret-\.\+/);
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
