/** A reference machine made of packages, for real: from the mirrors that this machine itself uses. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot } from "../../../common/test-needs.js";
import { reportNumber } from "../../helpers/job-report.js";
import { writeScript } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";

describe("a reference machine of Debian packages", () => {
  let scenario: Scenario;
  let place: string;

  before(async () => {
    scenario = await Scenario.create("mmdebstrap");
    place = scenario.path("references", "debian12");
    await mkdir(scenario.path("references"));
    const { dir } = scenario.installation;
    await writeScript(join(dir, "hooks", "finish"), [
      'echo reference > "$1/etc/hostname"',
      'test -d "$BASALT_REFERENCE_TARGET/usr/bin"',
    ]);
    const options = `Packages: [netbase], AptOption: ['Apt::Install-Recommends "false"'], Customize: finish`;
    await appendFile(
      join(dir, "filed.yaml"),
      `
Reference:
  - {Name: debian12, Builder: mmdebstrap, Suite: bookworm, Directory: ${place}, ${options}}
  - {Name: unknown, Builder: mmdebstrap, Suite: no-such-release, Directory: ${place}-2}
`,
    );
    await scenario.define([
      { name: "debian12", root: place, level: "Base", job: { Reference: { Builder: "mmdebstrap" } } },
      { name: "unknown", root: `${place}-2`, level: "Base", job: { Reference: {} } },
      { name: "vm", base: ["debian12"] },
    ]);
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  test("it is installed, saved, and a machine that is like it costs nothing", async (t) => {
    if (!asRoot(t)) return;
    const base = await scenario.backup("debian12", "Base");
    assert.match(base.report, /Reference debian12: mmdebstrap bookworm from deb /);
    assert.equal(readFileSync(join(place, "etc", "hostname"), "utf8"), "reference\n");
    assert.match(readFileSync(join(place, "etc", "debian_version"), "utf8"), /^12\./);
    assert.ok(existsSync(join(place, "etc", "protocols")), "netbase is installed");
    assert.ok(reportNumber(base, "SD Files Written") > 5000, base.report);
    // Another installation of the same packages, as far as a copy is one: what it made itself has new times.
    const vm = scenario.path("vm");
    await runProgram("cp", ["-a", place, vm]);
    await runProgram("touch", [join(vm, "etc", "passwd"), join(vm, "var", "lib", "dpkg", "status")]);
    const full = await scenario.backup("vm", "Full");
    assert.match(full.report, new RegExp(`Using BaseJobId\\(s\\): ${base.jobId}$`, "m"));
    assert.equal(reportNumber(full, "FD Bytes Sent"), 0);
    assert.ok(scenario.rows(full.jobId) < 20, full.report);
    await rm(vm, { recursive: true });
  });

  test("a release that no source has is said, and nothing is left", async () => {
    const { report } = await scenario.backup("unknown", "Base", "*** Backup Error ***");
    assert.match(
      report,
      /Fatal error: no apt source in \/etc\/apt is for "no-such-release"; name them with Mirror/,
    );
    assert.ok(!existsSync(`${place}-2.new`));
  });
});
