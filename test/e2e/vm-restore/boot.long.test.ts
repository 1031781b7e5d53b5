/**
 * A Debian on a disk with partitions, backed up as an image and as files, made again by `basalt restore-vm` both ways, and
 * started under emulation until it asks for a login. Takes many minutes.
 */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot, skipWithout } from "../../../common/test-needs.js";
import { Scenario, sameTrees } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";
import { sameImage } from "../image/sparse.js";
import { bootFilesOf, bootToLogin, makeDebian, makeDisk, ROOT_UUID } from "./machine.js";
import { whileMounted } from "./mounted.js";

const ROOT = [[2, ""]] as const;

/** The guest found all that its fstab names. */
function isHealthy(said: string): void {
  assert.doesNotMatch(
    said,
    /Timed out waiting for device|Dependency failed|emergency mode|You are in rescue/,
    said,
  );
  assert.match(said, /Activated swap|Reached target .*Swap/, said);
}

describe("a Debian is restored and boots", () => {
  let scenario: Scenario | undefined;
  let disk = "";
  let tree = "";

  const basalt = (words: readonly string[]): Promise<string> =>
    runProgram(scenario!.basalt, ["restore-vm", ...words]);
  const console = (): string[] => ["-c", join(scenario!.installation.dir, "console.yaml")];
  const path = (name: string): string => scenario!.path(name);

  before(async () => {
    if (process.geteuid?.() !== 0 || !existsSync("/usr/bin/qemu-system-x86_64")) return;
    scenario = await Scenario.create("vm-boot", { keepConsole: true });
    tree = path("tree");
    disk = path("web1.raw");
    await makeDebian(tree);
    await makeDisk(tree, disk);
    await mkdir(path("root"));
    const common = { Client: "t-fd", Storage: "File", Messages: "Standard", Pool: "Default", Level: "Full" };
    await scenario.installation.writeResources("web1", {
      FileSet: [
        { Name: "image", Include: { Image: [disk] } },
        { Name: "files", Include: { Root: path("root"), File: ["/"] } },
      ],
      Job: ["image", "files"].map((name) => ({ Name: name, Type: "Backup", FileSet: name, ...common })),
    });
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  /** The scenario, where its needs are met. */
  function mayRun(t: Parameters<typeof asRoot>[0]): boolean {
    if (!asRoot(t)) return false;
    if (scenario === undefined) skipWithout("qemu-system-x86_64", t);
    return scenario !== undefined;
  }

  test("from its image: the same bytes and holes, and it boots", async (t) => {
    if (!mayRun(t)) return;
    const backup = await scenario!.backup("image", "Full");
    const plan = path("image.yaml");
    const drafted = await basalt([
      "images",
      "web1",
      "--jobid",
      String(backup.jobId),
      "--client",
      "t-fd",
      ...console(),
    ]);
    const target = path("from-image.raw");
    await writeFile(plan, drafted.replace(`Device: ${disk}`, `Device: ${target}`));
    await basalt(["run", plan, ...console()]);
    sameImage(disk, target);
    assert.ok(statSync(target).blocks * 512 < statSync(target).size, "there are no holes");
    const append = `root=UUID=${ROOT_UUID} ro console=ttyS0`;
    isHealthy(await bootToLogin(target, bootFilesOf(tree), append));
  });

  test("from its files, by the plan that describe wrote: new file systems, no change of fstab, and it boots", async (t) => {
    if (!mayRun(t)) return;
    const plan = path("files.yaml");
    const target = path("from-files.raw");
    await runProgram("rmdir", [path("root")]);
    let jobId = 0;
    await whileMounted(disk, path("root"), ROOT, async () => {
      const drafted = await basalt(["describe", "web1", disk, "--root", path("root"), "--client", "t-fd"]);
      ({ jobId } = await scenario!.backup("files", "Full"));
      const more = `  JobId: ${jobId}\n  Directory: ${path("mnt")}\n`;
      await writeFile(plan, `${drafted.replace(`Device: ${disk}`, `Device: ${target}`)}${more}`);
    });
    const output = await basalt(["run", plan, ...console(), "--boot-files", path("boot")]);
    assert.match(output, /\/etc\/fstab needs no change/);
    assert.ok(!(await readFile("/proc/self/mountinfo", "utf8")).includes(path("mnt")));
    await whileMounted(target, path("look"), ROOT, () =>
      whileMounted(disk, path("root"), ROOT, () => sameTrees(path("root"), path("look"))),
    );
    const append = /-append "([^"]*)"/.exec(output)?.[1] ?? "";
    const boot = { kernel: path("boot/kernel"), initrd: path("boot/initrd") };
    isHealthy(await bootToLogin(target, boot, append));
  });
});
