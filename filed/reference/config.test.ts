import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { loadFiledConfig } from "../config.js";

const FRAME = `FileDaemon: {Name: fd, WorkingDirectory: var, Directors: dir, TLS: {CaFile: ca.crt, CertFile: f.crt, KeyFile: f.key}}
Reference:
`;

function load(...references: string[]) {
  const file = path.join(scratchDirectory("reference"), "f.yaml");
  writeFileSync(file, `${FRAME}${references.map((each) => `  - ${each}\n`).join("")}`);
  return loadFiledConfig(file).references;
}

function problem(...references: string[]): string {
  try {
    load(...references);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.diagnostics.map((found) => formatDiagnostic(found).replace(/^.*?f\.yaml:/, "")).join("\n");
  }
  return assert.fail("was accepted");
}

test("a machine that a program makes", () => {
  const reference =
    "{Name: C6, Builder: command, Command: make-it c6, Directory: /srv/c6/, Customize: [a, b c], TimeLimit: 2 hours}";
  assert.deepEqual(load(reference), [
    {
      name: "C6",
      place: { kind: "directory", path: "/srv/c6" },
      recipe: { builder: "command", command: "make-it c6" },
      customize: ["a", "b c"],
      timeLimitSec: 7200,
    },
  ]);
});

test("what is missing or does not belong there is said with its place", () => {
  assert.match(problem("{Name: a, Directory: /srv/a}"), /^3:5: Reference "a" needs the directive Builder$/);
  assert.match(
    problem("{Name: a, Builder: command, Directory: /srv/a}"),
    /needs the directive Command \(Builder: command\)/,
  );
  assert.match(
    problem("{Name: a, Builder: command, Command: x}"),
    /has neither: give a Directory .* or an Image/,
  );
  assert.match(problem("{Name: a, Builder: command, Command: x, Directory: /a, Image: /b}"), /has both/);
  assert.match(problem("{Name: a, Builder: command, Command: x, Directory: /}"), /not the root directory/);
  assert.match(problem("{Name: a, Builder: command, Command: x, Directory: srv}"), /not an absolute path/);
});

test("two machines cannot lie in each other", () => {
  const at = (name: string, place: string) =>
    `{Name: ${name}, Builder: command, Command: x, Directory: ${place}}`;
  assert.match(
    problem(at("a", "/srv/a"), at("b", "/srv/a/b")),
    /^4:\d+: Directory in Reference "b": \/srv\/a\/b and \/srv\/a of Reference "a" lie in each other$/,
  );
  assert.equal(load(at("a", "/srv/a"), at("b", "/srv/ab")).length, 2);
});
