/** Debian's default configuration of Bacula: as it is under Bacula's names, and imported. */
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Installation } from "../../helpers/installation.js";
import { endOf } from "../../helpers/program.js";
import { REPOSITORY } from "../../helpers/root.js";
import { debianSite } from "./debian.js";
import { backupAndRestore } from "./session.js";

const FILES = ["bacula-dir.conf", "bacula-sd.conf", "bacula-fd.conf", "bconsole.conf"];

test("Debian's files as they are: -t, start, backup, catalog backup, restore", async (context) => {
  const site = await debianSite(context);
  if (site === undefined) return;
  context.after(() => site.close());
  for (const letter of ["dir", "sd", "fd"] as const) {
    const tried = await site.daemon(letter, "-t");
    assert.deepEqual([tried.status, tried.stderr], [0, ""], letter);
  }
  assert.equal((await site.program("bconsole", "-t", "-c", site.etc("bconsole.conf"))).status, 0);
  for (const letter of ["sd", "fd", "dir"] as const) {
    const started = await site.daemon(letter);
    assert.equal(started.status, 0, started.stderr);
  }
  const pipe = async (lines: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await site.console(lines);
    assert.deepEqual([status, stderr], [0, ""], stdout);
    return stdout;
  };
  await backupAndRestore(pipe, "BackupClient1", "/usr/sbin", join(site.root, "restored"));
  const catalog = await pipe(["run job=BackupCatalog yes", "wait", "messages", "status all", "quit"]);
  assert.match(catalog, /^ {2}Termination: +Backup OK$/m, catalog);
  // Director, client, and one storage daemon for its two Storage resources.
  assert.equal([...catalog.matchAll(/^No Jobs running\.$/gm)].length, 3, catalog);
  assert.match(await readFile(join(site.root, "work/bacula.log"), "utf8"), /Termination: +Restore OK/);
});

test("Debian's files imported: the report, -t, start, backup, catalog backup, restore", async (context) => {
  const site = await debianSite(context);
  if (site === undefined) return;
  const dir = join(site.root, "basalt");
  const basalt = join(REPOSITORY, "basalt");
  const imported = await endOf(basalt, ["import", ...FILES.map((name) => site.etc(name)), "-o", dir]);
  assert.equal(imported.status, 0, imported.stdout + imported.stderr);
  assert.match(imported.stdout, /notes: 0 wrong, 0 unsupported/);
  const name = /^ *Name = (.*)-dir$/m.exec(await readFile(site.etc("bconsole.conf"), "utf8"))?.[1] ?? "";
  await mkdir(join(dir, "log"));
  const installation = Installation.open(dir, { portBase: site.portBase, name });
  context.after(async () => {
    await installation.stop();
    await site.close();
  });
  for (const role of ["director", "storaged", "filed", "console"]) {
    const tried = await endOf(basalt, [role, "-c", join(dir, `${role}.yaml`), "-t"]);
    assert.equal(tried.status, 0, tried.stdout + tried.stderr);
  }
  await installation.startAll();
  const pipe = (lines: readonly string[]): Promise<string> => installation.console([...lines]);
  await backupAndRestore(pipe, "BackupClient1", "/usr/sbin", join(site.root, "restored"));
  const catalog = await pipe(["run job=BackupCatalog yes", "wait", "messages", "quit"]);
  assert.match(catalog, /^ {2}Termination: +Backup OK$/m, catalog);
});
