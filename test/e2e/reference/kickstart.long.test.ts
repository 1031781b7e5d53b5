/** Reference machines that an installer makes: booted directly, told by a kickstart file, under emulation. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot } from "../../../common/test-needs.js";
import { endReport, startJob, until } from "../../helpers/running.js";
import { copyTree, Scenario } from "../../helpers/scenario.js";
import { makeInstaller } from "./tiny-installer.js";

const RECIPE = `dir etc
file etc/fstab /dev/vda1 / ext4 defaults 0 1
file etc/hostname reference
dir usr/bin
file usr/bin/tool one
`;

describe("kickstart", () => {
  let scenario: Scenario;
  let image: string;
  let mounts: string;
  let inForce: number;

  const recipe = (name: string): string => scenario.path(`${name}.ks`);
  const consoleOf = (name: string): string =>
    join(scenario.installation.dir, "var", "filed", "references", `${name}.install.console`);

  before(async () => {
    scenario = await Scenario.create("kickstart");
    image = scenario.path("references", "tiny.img");
    mounts = scenario.path("mounts");
    for (const name of ["references", "installer"]) await mkdir(scenario.path(name));
    const { kernel, initrd } = await makeInstaller(scenario.path("installer"));
    await writeFile(recipe("tiny"), RECIPE);
    await writeFile(recipe("hanging"), "hang\n");
    const machine = `Kernel: ${kernel}, Initrd: ${initrd}, Size: 64 MB, Memory: 256 MB, Accel: tcg`;
    const of = (name: string, more: string): string =>
      `  - {Name: ${name}, Builder: kickstart, Image: ${scenario.path("references", name)}.img, ${machine},
     Kickstart: ${recipe(name)}, Append: "ks={kickstart} console=ttyS0 panic=-1", ${more}}`;
    await appendFile(
      join(scenario.installation.dir, "filed.yaml"),
      `
Reference:
${of("tiny", `Mount: {Directory: ${mounts}}`)}
${of("hanging", "TimeLimit: 10 seconds")}
`,
    );
    const job = { Reference: { Builder: "kickstart" } };
    await scenario.define([
      { name: "tiny", root: join(mounts, "tiny"), level: "Base", job },
      { name: "vm", base: ["tiny"] },
    ]);
    await scenario.installation.writeResources("hanging", {
      FileSet: [{ Name: "hanging", Include: { Image: `${scenario.path("references", "hanging")}.img` } }],
      Job: [
        {
          ...{ Name: "hanging", Type: "Backup", Level: "Base", Client: "t-fd", FileSet: "hanging" },
          ...{ Storage: "File", Pool: "Default", Messages: "Standard", Reference: {} },
        },
      ],
    });
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  const mounted = (): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(scenario.dir);

  async function vmUses(jobId: number): Promise<void> {
    const { report } = await scenario.backup("vm", "Full");
    assert.match(report, new RegExp(`Using BaseJobId\\(s\\): ${jobId}$`, "m"));
  }

  test("it is installed, mounted, saved, and is the Base of machines", async (t) => {
    if (!asRoot(t)) return;
    const { jobId, report } = await scenario.backup("tiny", "Base");
    inForce = jobId;
    assert.match(report, /Reference tiny: the installer has fetched its kickstart file/);
    assert.match(
      readFileSync(consoleOf("tiny"), "latin1"),
      /installer: fetched 5 orders[\s\S]*installer: done/,
    );
    assert.ok(!mounted(), "nothing stays mounted");
    const restored = await scenario.restore("tiny", { jobIds: [jobId] });
    assert.equal(readFileSync(join(restored, "usr/bin/tool"), "utf8"), "one\n");
    await copyTree(restored, scenario.path("vm"));
    await vmUses(inForce);
  });

  test("an installer that panics, or gives up, leaves image and Base as they were", async () => {
    const before = readFileSync(image);
    for (const [order, words] of [
      [
        "panic",
        /Fatal error: reference machine "tiny": its kernel has panicked \(console: .*tiny\.install\.console\)/,
      ],
      [
        "fail",
        /Fatal error: cannot mount the file systems of tiny: none of its file systems has an etc\/fstab/,
      ],
    ] as const) {
      await writeFile(recipe("tiny"), `${order}\n`);
      const { report } = await scenario.backup("tiny", "Base", "*** Backup Error ***");
      assert.match(report, words);
      if (order === "panic") assert.match(report, /Reference tiny: console: installer: the end of init/);
      assert.ok(readFileSync(image).equals(before));
      assert.ok(!mounted(), "nothing stays mounted");
    }
    await vmUses(inForce);
  });

  test("one that never ends is ended at its TimeLimit, or when the job is canceled", async () => {
    const { installation } = scenario;
    const late = await scenario.backup("hanging", "Base", "*** Backup Error ***");
    assert.match(late.report, /reference machine "hanging": it did not power off within \d+ seconds/);
    await writeFile(recipe("tiny"), "hang\n");
    await rm(consoleOf("tiny"));
    const jobId = await startJob(installation, "tiny");
    await until(
      "the installer hangs",
      () =>
        existsSync(consoleOf("tiny")) &&
        readFileSync(consoleOf("tiny"), "latin1").includes("installer: hangs"),
      300_000,
    );
    await installation.console([`cancel jobid=${jobId} yes`, "wait"]);
    const { termination, report } = await endReport(installation, jobId);
    assert.equal(termination, "Backup Canceled", report);
    assert.ok(existsSync(image) && !existsSync(`${image}.new`));
    await vmUses(inForce);
  });
});
