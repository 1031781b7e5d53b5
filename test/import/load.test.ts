/** The daemons' loaders on Bacula's and Bareos' own files. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { packageRoot } from "../../common/package.js";
import { loadConsoleConfig } from "../../console/config.js";
import { loadDirectorConfig } from "../../director/config/load.js";
import { loadFiledConfig } from "../../filed/config.js";
import { loadStoragedConfig } from "../../storaged/config.js";

const parent = mkdtempSync(path.join(tmpdir(), "basalt-load-"));
after(() => rmSync(parent, { recursive: true }));
const fixtures = path.join(packageRoot(), "test/import/fixtures");
const bareos = path.join(fixtures, "bareos");

function write(name: string, text: string): string {
  const file = path.join(parent, name);
  writeFileSync(file, text);
  return file;
}

const FD = (more: string): string => `
FileDaemon { Name = a-fd; WorkingDirectory = /w; PidDirectory = /p }
Director { Name = a-dir; ${more} }
`;

/** Findings of a load that fails, without the directory in front. */
function findings(load: (file: string) => unknown, file: string): string[] {
  try {
    load(file);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.diagnostics.map((each) => formatDiagnostic(each).replace(`${parent}/`, ""));
  }
  throw new Error("it was taken");
}

test("a Bareos tree, as each daemon reads it", () => {
  const director = loadDirectorConfig(bareos);
  assert.equal(director.director.name, "bareos-dir");
  assert.equal(director.director.workingDirectory, "/var/lib/bareos/basalt-director-bareos-dir");
  assert.equal(director.director.tls.caFile, "/var/lib/bareos/basalt-director-bareos-dir/pki/ca.crt");
  const client = director.clients.keys().next().value!;
  assert.ok(director.bacula?.passwords.of("Client", client));
  assert.ok(director.bacula?.passwords.of("Director", "bareos-dir"));
  assert.equal(loadDirectorConfig(path.join(bareos, "bareos-dir.d")).director.name, "bareos-dir");
  const filed = loadFiledConfig(bareos);
  assert.deepEqual(filed.directors, ["bareos-dir"]);
  assert.ok(filed.bacula?.passwords.of("Director", "bareos-dir"));
  const storaged = loadStoragedConfig(bareos);
  assert.ok(storaged.devices.size > 0);
  const console = loadConsoleConfig(bareos);
  assert.ok((console.directors[0]?.credential?.password ?? "") !== "");
});

test("what is not supported is a warning with its place and consequence, and never a password", () => {
  const { warnings } = loadDirectorConfig(path.join(fixtures, "bacula-dir.conf"));
  const lines = warnings.map(formatDiagnostic);
  assert.ok(
    lines.some((line) =>
      /bacula-dir\.conf:86:\d+: warning: not supported: Client ".*Hard Quota = 10G: clients have no quota/.test(
        line,
      ),
    ),
    lines.join("\n"),
  );
  const config = loadFiledConfig(write("secret.conf", FD("Password = very-secret")));
  assert.equal(config.bacula?.passwords.of("Director", "a-dir"), "very-secret");
  assert.doesNotMatch(
    JSON.stringify(config) + inspect(config, { depth: 9, showHidden: true }),
    /very-secret/,
  );
});

test("what Bacula refuses is refused, all of it at once", () => {
  assert.deepEqual(findings(loadFiledConfig, write("none.conf", FD(""))), [
    'none.conf:3:1: Director "a-dir" has no Password',
  ]);
  const twice = FD("Password = x; Pasword = y\n  Monitor = no").replace(
    "/w;",
    "/w; Maximum Concurrent Jobs = many;",
  );
  const found = findings(loadFiledConfig, write("wrong.conf", twice));
  assert.equal(found.length, 2, found.join("\n"));
  assert.match(found[0]!, /^wrong\.conf:2:\d+: FileDaemon "a-fd": Maximum Concurrent Jobs = many: .*"many"/);
  assert.match(found[1]!, /^wrong\.conf:3:\d+: Director "a-dir": Pasword = y: it is not known here/);
  assert.throws(() => loadDirectorConfig(write("fd.conf", FD("Password = x"))), {
    code: "CONFIG_INVALID",
    message: /fd\.conf is the configuration of a file daemon, not of a director$/,
  });
  assert.match(
    findings(loadFiledConfig, write("open.conf", 'FileDaemon { Name = "a'))[0]!,
    /^open\.conf:1:\d+: /,
  );
});

test("a console takes the password of its Console resource", () => {
  const director = 'Director { Name = d; Address = h; Password = "root" }\n';
  const plain = loadConsoleConfig(write("a.conf", director));
  assert.deepEqual(plain.directors[0]?.credential, { console: "", password: "root" });
  const named = loadConsoleConfig(write("b.conf", `${director}Console { Name = op; Password = "own" }`));
  assert.deepEqual(named.directors[0]?.credential, { console: "op", password: "own" });
});

test("commands of jobs are run as in Bacula, or from where Allowed Script Dir says", () => {
  assert.ok(loadFiledConfig(write("any.conf", FD("Password = x"))).hookDirectories.includes("/"));
  const limited = FD("Password = x").replace("/w;", "/w; Allowed Script Dir = /opt/scripts;");
  assert.deepEqual(loadFiledConfig(write("some.conf", limited)).hookDirectories, ["/opt/scripts"]);
});
