/** A Bareos tree of the usual shape, moved to a directory and to ports of a test's own. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortBase } from "../../helpers/ports.js";
import { REPOSITORY } from "../../helpers/root.js";

/** Where it is; close() removes it. */
export interface BareosSite {
  root: string;
  etc: string;
  /** Of the director; the file and storage daemon have the next two. */
  portBase: number;
  close: () => void;
}

/** The client's password stands as MD5 on one side. */
export async function bareosSite(): Promise<BareosSite> {
  const root = mkdtempSync(join(tmpdir(), "basalt-bareos-"));
  const etc = join(root, "etc");
  const portBase = await freePortBase(3);
  cpSync(join(REPOSITORY, "test/import/fixtures/bareos"), etc, { recursive: true });
  for (const name of ["work", "storage"]) mkdirSync(join(root, name));
  const edit = (name: string, from: string | RegExp, to: string): void => {
    const file = join(etc, name);
    const before = readFileSync(file, "utf8");
    const text = before.replace(from, to);
    assert.notEqual(text, before, name);
    writeFileSync(file, text);
  };
  edit("bareos-dir.d/director/bareos-dir.conf", /port = 9101/g, `port = ${portBase}`);
  const own = (directives: string) => `{\n  Working Directory = ${join(root, "work")}\n  ${directives}`;
  edit("bareos-dir.d/director/bareos-dir.conf", "{", own(""));
  edit("bareos-fd.d/client/myself.conf", "{", own(`Port = ${portBase + 1}; Address = 127.0.0.1`));
  edit("bareos-sd.d/storage/bareos-sd.conf", "{", own(`Port = ${portBase + 2}; Address = 127.0.0.1`));
  edit("bareos-dir.d/client/bareos-fd.conf", "{", `{\n  Port = ${portBase + 1}`);
  edit("bareos-dir.d/storage/File.conf", "{", `{\n  Port = ${portBase + 2}`);
  edit("bconsole.conf", "{", `{\n  Port = ${portBase}`);
  edit("bareos-sd.d/device/FileStorage.conf", "/var/lib/bareos/storage", join(root, "storage"));
  edit("bareos-dir.d/jobdefs/DefaultJob.conf", "/var/lib/bareos", join(root, "work"));
  edit("bareos-dir.d/client/bareos-fd.conf", /Password = .*/, 'Password = "client secret"');
  const md5 = createHash("md5").update("client secret").digest("hex");
  edit("bareos-fd.d/director/bareos-dir.conf", /Password = .*/, `Password = "[md5]${md5}"`);
  return { root, etc, portBase, close: () => rmSync(root, { recursive: true }) };
}
