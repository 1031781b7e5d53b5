/** A Debian made of packages that boots under emulation, with its own guest agent, before it is saved. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot } from "../../../common/test-needs.js";
import { writeScript } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";

const PACKAGES = "linux-image-cloud-amd64, systemd-sysv, udev, dbus, qemu-guest-agent";

describe("boot check", () => {
  let scenario: Scenario;
  let debian: string;
  let mute: string;

  const consoleOf = (name: string): string =>
    readFileSync(
      join(scenario.installation.dir, "var", "filed", "references", `${name}.boot.console`),
      "latin1",
    );

  before(async () => {
    scenario = await Scenario.create("boot-check");
    const { dir } = scenario.installation;
    await mkdir(scenario.path("references"));
    debian = scenario.path("references", "debian12");
    mute = scenario.path("references", "mute");
    // The same machine, as another mistake in its recipe would leave it.
    await writeScript(join(dir, "hooks", "without-agent"), [
      `cp -a ${debian}/. "$BASALT_REFERENCE_TARGET/"`,
      'rm "$BASALT_REFERENCE_TARGET/usr/sbin/qemu-ga"',
    ]);
    const boot = (limit: string): string => `BootCheck: {Accel: tcg, Memory: 512 MB, TimeLimit: ${limit}}`;
    await appendFile(
      join(dir, "filed.yaml"),
      `
Reference:
  - {Name: debian12, Builder: mmdebstrap, Suite: bookworm, Directory: ${debian}, Packages: "${PACKAGES}",
     AptOption: ['Apt::Install-Recommends "false"'], ${boot("15 minutes")}}
  - {Name: mute, Builder: command, Command: without-agent, Directory: ${mute}, ${boot("90 seconds")}}
`,
    );
    const job = (name: string, root: string, Reference: object) => ({
      ...{ name, root, level: "Base" as const, job: { Reference } },
    });
    await scenario.define([
      job("debian12", debian, { BootCheck: true }),
      job("mute", mute, {}),
      job("unchecked", mute, { Name: "mute", BootCheck: false }),
    ]);
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  test("its agent answers, it powers off, and it is saved as it was built", async (t) => {
    if (!asRoot(t)) return;
    const { report } = await scenario.backup("debian12", "Base");
    assert.match(report, /Reference debian12: boot check with .*\/boot\/vmlinuz-6\.\S+-cloud-amd64/);
    assert.match(report, /Reference debian12: booted, its guest agent 7\.\S+ answers after \d+ seconds/);
    assert.match(consoleOf("debian12"), /reboot: Power down/);
    for (const left of [".new", ".new.boot", ".old"]) assert.ok(!existsSync(debian + left), left);
    // What the start wrote was thrown away.
    assert.deepEqual(readdirSync(join(debian, "var", "log", "journal")), []);
  });

  test("one whose agent does not answer is not saved", async () => {
    const { report } = await scenario.backup("mute", "Base", "*** Backup Error ***");
    assert.match(
      report,
      /Fatal error: reference machine "mute": it does not boot: its guest agent does not answer within \d+ seconds/,
    );
    assert.match(report, /Reference mute: console: \S/);
    assert.ok(!existsSync(mute));
    await scenario.backup("unchecked", "Base");
    assert.ok(existsSync(mute));
  });
});
