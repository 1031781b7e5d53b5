/**
 * A virtual machine with several disks and file systems, backed up as one tree from mounted snapshots: what comes back
 * is what the machine itself saw, across its mount points.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { after, before, describe, type TestContext, test } from "node:test";
import { asRoot } from "../../../common/test-needs.js";
import { hasTools } from "../../../filed/image/maps/testing.js";
import { toMountSettings } from "../../../filed/mount/config.js";
import { mountVm } from "../../../filed/mount/mount-vm.js";
import { makeDisk, makeFileSystem } from "../../../filed/mount/testing.js";
import { unmountVm } from "../../../filed/mount/unmount-vm.js";
import { reportNumber } from "../../helpers/job-report.js";
import { copyTree, Scenario } from "../../helpers/scenario.js";
import { makeOddTree } from "../../helpers/tree.js";
import { runProgram, runTreeOps, unmountBelow } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
const VM = "web-1";
const ROOT = {
  kind: "ext4",
  size: 400 * MIB,
  options: ["-b", "4096", "-U", "11111111-2222-4333-8444-555555555555"],
} as const;
const SRV = { kind: "xfs", size: 128 * MIB, options: ["-L", "srv"] } as const;
const BOOT = { kind: "ext2", size: 16 * MIB } as const;
const FSTAB = `UUID=11111111-2222-4333-8444-555555555555 / ext4 errors=remount-ro 0 1
PARTLABEL=boot /boot ext2 defaults 0 2
LABEL=srv /srv xfs defaults 0 2
/dev/vda3 none swap sw 0 0
`;

describe("a mounted machine", () => {
  let scenario: Scenario;
  const report: string[] = [];
  const settings = () => ({ ...toMountSettings(), directory: scenario.path("mnt") });
  const tools = { confirmedFreeze: false, report: (line: string) => void report.push(line) };

  /** Its file systems, each in a file, and where the machine has them. */
  const parts = (): [file: string, point: string][] => [
    [scenario.path("root.img"), ""],
    [scenario.path("boot.img"), "/boot"],
    [scenario.path("srv.img"), "/srv"],
  ];

  /** Lets the machine run: all of it is mounted for writing meanwhile. Keeps a copy of what it sees in the end. */
  async function running(work: (tree: string) => Promise<void>, saved: string): Promise<void> {
    const tree = scenario.path("guest");
    try {
      for (const [file, point] of parts()) await runProgram("mount", ["-o", "loop", file, `${tree}${point}`]);
      await work(tree);
      await copyTree(tree, saved);
    } finally {
      await unmountBelow(tree);
      await runProgram("umount", [tree]);
    }
  }

  /** Snapshots of its disks. */
  async function snapshots(): Promise<string[]> {
    const [root, boot, srv] = parts().map(([file]) => file);
    const disk = makeDisk("gpt", [boot!, root!, { kind: "swap" }], [", name=boot"]);
    return [disk, srv!];
  }

  async function backedUp(level: string, saved: string): Promise<number> {
    const [disk1, disk2] = (await snapshots()) as [string, string];
    const disks = [disk1, disk2].map((device, index) => ({ number: index + 1, device, writable: true }));
    await mountVm(VM, disks, settings(), tools);
    try {
      const job = await scenario.backupAndRestore(VM, level, saved, { rsyncExclude: ["/odd/deep"] });
      return reportNumber(job, "SD Files Written");
    } finally {
      await unmountVm(VM, settings(), tools);
    }
  }

  before(async (t) => {
    if (!asRoot(t as TestContext)) return;
    scenario = await Scenario.create("mounted", { keepConsole: true });
    for (const name of ["guest", "mnt"]) await mkdir(scenario.path(name), { mode: 0o700 });
    for (const [index, filling] of [ROOT, BOOT, SRV].entries())
      await copyFile(
        makeFileSystem({ ...filling, ...(index === 0 ? { files: { "boot/": "", "srv/": "" } } : {}) }),
        parts()[index]![0],
      );
    await scenario.define([{ name: VM, root: scenario.path("mnt", VM) }]);
    await scenario.installation.startAll();
  });

  after(async () => {
    if (scenario === undefined) return;
    await unmountVm(VM, settings(), tools);
    await scenario.close();
  });

  test("a Full and an Incremental come back with all file systems of the machine", async (t) => {
    if (!asRoot(t) || !hasTools(t, "mkfs.xfs", "mke2fs", "sfdisk")) return;
    const first = scenario.path("saved-1");
    await running(async (tree) => {
      await mkdir(`${tree}/etc`);
      await writeFile(`${tree}/etc/fstab`, FSTAB);
      await writeFile(`${tree}/boot/vmlinuz`, "kernel");
      await makeOddTree(`${tree}/odd`, { hugeDirectory: 300 });
      await copyTree(`${tree}/odd/modes`, `${tree}/srv/modes`);
    }, first);
    const all = await backedUp("Full", first);
    assert.ok(
      report.some((line) => line.includes("/boot is disk 1 partition 1")),
      report.join("\n"),
    );
    assert.ok(
      report.some((line) => line.includes("/srv is disk 2")),
      report.join("\n"),
    );

    const second = scenario.path("saved-2");
    await running(async (tree) => {
      await writeFile(`${tree}/boot/vmlinuz`, "newer kernel");
      await writeFile(`${tree}/srv/added`, "new");
      await runTreeOps(tree, [{ op: "remove", path: "srv/modes/f0600" }]);
    }, second);
    const changed = await backedUp("Incremental", second);
    assert.ok(changed > 2 && changed < 15 && all > 500, `${all} and ${changed} rows`);
  });
});
