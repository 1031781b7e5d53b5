import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { findInputs } from "./layout.js";

const directory = mkdtempSync(path.join(tmpdir(), "basalt-layout-"));
after(() => rmSync(directory, { recursive: true }));

function put(name: string): void {
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, "");
}

const names = (input: string): unknown[] =>
  findInputs(path.join(directory, input)).map(({ component, files, isBareos }) => [
    component,
    files.map((file) => path.relative(directory, file)),
    isBareos,
  ]);

test("files, trees and directories of configurations", () => {
  for (const name of [
    "pool/B.conf",
    "pool/A.conf",
    "job/x.conf",
    "own.conf",
    "job/notes.txt",
    "job/.hidden.conf",
  ]) {
    put(`bareos/bareos-dir.d/${name}`);
  }
  put("bareos/bareos-fd.d/client/myself.conf");
  put("bareos/bconsole.conf");
  put("bareos/tray-monitor.d/monitor/x.conf");
  put("bacula/bacula-dir.conf");
  put("bacula/conf.d/more.conf");
  put("empty/readme");
  const tree = ["own.conf", "job/x.conf", "pool/A.conf", "pool/B.conf"].map(
    (each) => `bareos/bareos-dir.d/${each}`,
  );
  assert.deepEqual(names("bareos"), [
    ["director", tree, true],
    ["filed", ["bareos/bareos-fd.d/client/myself.conf"], true],
    ["console", ["bareos/bconsole.conf"], true],
  ]);
  assert.deepEqual(names("bareos/bareos-dir.d"), [["director", tree, true]]);
  assert.deepEqual(names("bacula"), [["director", ["bacula/bacula-dir.conf"], false]]);
  assert.deepEqual(names("bacula/conf.d/more.conf"), [[undefined, ["bacula/conf.d/more.conf"], false]]);
  assert.throws(() => names("empty"), { code: "CONFIG_NOT_FOUND", message: /holds no bacula-dir\.conf/ });
  assert.throws(() => names("nowhere"), { code: "CONFIG_NOT_FOUND", message: /no such file/ });
});
