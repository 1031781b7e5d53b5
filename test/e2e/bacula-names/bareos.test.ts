/** The daemons on a Bareos tree as it is, with a password that stands there as MD5 on one side. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ConsoleSession } from "../../helpers/console-session.js";
import { freePortBase } from "../../helpers/ports.js";
import { Running } from "../../helpers/program.js";
import { REPOSITORY } from "../../helpers/root.js";

const root = mkdtempSync(join(tmpdir(), "basalt-bareos-"));
const etc = join(root, "etc");
process.env.BASALT_DIRECTORS = join(root, "directors");
const running: Running[] = [];
after(async () => {
  for (const daemon of running.reverse()) await daemon.stop();
  rmSync(root, { recursive: true });
});

function edit(name: string, from: string | RegExp, to: string): void {
  const file = join(etc, name);
  const before = readFileSync(file, "utf8");
  const text = before.replace(from, to);
  assert.notEqual(text, before, name);
  writeFileSync(file, text);
}

test("a Bareos tree starts, backs up and restores", async () => {
  const port = await freePortBase(3);
  cpSync(join(REPOSITORY, "test/import/fixtures/bareos"), etc, { recursive: true });
  for (const name of ["work", "src", "storage"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "src/hello"), "hello\n");
  const own = (directives: string) => `{\n  Working Directory = ${join(root, "work")}\n  ${directives}`;
  edit("bareos-dir.d/director/bareos-dir.conf", "{", own(`Port = ${port}; Address = 127.0.0.1`));
  edit("bareos-fd.d/client/myself.conf", "{", own(`Port = ${port + 1}; Address = 127.0.0.1`));
  edit("bareos-sd.d/storage/bareos-sd.conf", "{", own(`Port = ${port + 2}; Address = 127.0.0.1`));
  edit("bareos-dir.d/client/bareos-fd.conf", "{", `{\n  Port = ${port + 1}`);
  edit("bareos-dir.d/storage/File.conf", "{", `{\n  Port = ${port + 2}`);
  edit("bconsole.conf", "{", `{\n  Port = ${port}`);
  edit("bareos-sd.d/device/FileStorage.conf", "/var/lib/bareos/storage", join(root, "storage"));
  edit("bareos-dir.d/fileset/SelfTest.conf", "/usr/sbin", join(root, "src"));
  edit("bareos-dir.d/client/bareos-fd.conf", /Password = .*/, 'Password = "client secret"');
  const md5 = createHash("md5").update("client secret").digest("hex");
  edit("bareos-fd.d/director/bareos-dir.conf", /Password = .*/, `Password = "[md5]${md5}"`);

  const basalt = join(REPOSITORY, "basalt");
  for (const [role, offset] of [
    ["storaged", 2],
    ["filed", 1],
    ["director", 0],
  ] as const) {
    running.push(await Running.start(basalt, [role, "-c", etc], port + offset));
  }
  const console = new ConsoleSession(etc);
  console.send("run job=backup-bareos-fd level=Full yes", "wait", "messages");
  console.send(`restore where=${join(root, "restored")} select all done`, "yes", "wait", "messages", "quit");
  const { index } = await console.waitFor(/Termination: +Backup OK/, { timeoutMs: 60_000 });
  await console.waitFor(/Termination: +Restore OK/, { from: index, timeoutMs: 60_000 });
  assert.equal(readFileSync(join(root, "restored", root, "src/hello"), "utf8"), "hello\n");
  await console.close();
});
