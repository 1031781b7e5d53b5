import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { packageRoot } from "../../common/package.js";
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

test("Debian packages, and an installer: what is not said has a default", () => {
  const [debian, centos] = load(
    "{Name: d12, Builder: mmdebstrap, Suite: bookworm, Packages: 'openssh-server, cron', Directory: /srv/d12, BootCheck: {Accel: tcg}}",
    "{Name: c6, Builder: kickstart, Kernel: /k, Initrd: /i, Kickstart: /c6.ks, Image: /srv/c6.img, Size: 4 GB, Mount: {}}",
  );
  assert.ok(debian?.recipe.builder === "mmdebstrap" && centos?.recipe.builder === "kickstart");
  assert.deepEqual(debian.recipe.packages, ["openssh-server", "cron"]);
  assert.deepEqual([debian.recipe.variant, debian.recipe.mirrors], ["minbase", []]);
  assert.deepEqual(debian.bootCheck, {
    machine: { memoryBytes: 1024 ** 3, processors: 1, accel: "tcg" },
    boot: undefined,
    append: "root=/dev/vda rw console=ttyS0",
    timeLimitSec: 600,
  });
  assert.equal(centos.recipe.append, "ks={kickstart} console=ttyS0");
  assert.equal(centos.recipe.sizeBytes, 4e9);
  assert.equal(centos.mount?.directory, "/run/basalt/reference");
});

test("what is of another builder, or of an image, is said", () => {
  const debian = "Name: d, Builder: mmdebstrap, Suite: bookworm, Directory: /d";
  assert.match(
    problem(`{${debian}, Kernel: /k}`),
    /Kernel in Reference "d" is for Builder kickstart, not mmdebstrap/,
  );
  assert.match(problem(`{${debian}, Size: 3 GB}`), /Size in Reference "d" is for an Image/);
  assert.match(problem(`{${debian}, Mount: {}}`), /Mount in Reference "d" is for an Image: a tree lies open/);
  assert.match(problem("{Name: d, Builder: mmdebstrap, Directory: /d}"), /needs the directive Suite/);
  assert.match(
    problem("{Name: d, Builder: mmdebstrap, Suite: --x, Directory: /d}"),
    /"--x" is not a name of a release/,
  );
  const installer = "Name: c, Builder: kickstart, Kernel: /k, Initrd: /i, Kickstart: /ks";
  assert.match(
    problem(`{${installer}, Directory: /d}`),
    /an installer makes an Image; Mount shows its files/,
  );
  assert.match(
    problem(`{${installer}, Image: /d, BootCheck: {Append: quiet}}`),
    /without a Kernel .* own boot loader/,
  );
  assert.match(
    problem(`{${installer.replace("c,", "a b,")}, Image: /d, Mount: {}}`),
    /with Mount a name is made of/,
  );
  assert.match(problem(`{${installer}, Image: /d, Append: 'a="b"'}`), /none of them a double quote/);
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

test("the example of the documentation", () => {
  const text = readFileSync(path.join(packageRoot(), "docs", "reference-machines.md"), "utf8");
  const example = /```yaml\n# filed\.yaml of kvm1\nReference:\n([\s\S]*?)```/.exec(text)?.[1];
  assert.ok(example !== undefined);
  const [debian, centos] = load(example.replace(/^ {2}- /, "").trimEnd());
  assert.equal(debian?.place.path, "/srv/reference/debian12");
  assert.equal(centos?.bootCheck?.timeLimitSec, 600);
});
