/** Benches for tests of restore-vm: a plan in a directory of its own, carried out with a small guest. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { attached, detachAll } from "./attach.js";
import { loadPlan, type RestorePlan, rootOf } from "./plan.js";
import { restoreVm } from "./restore-vm.js";

export const MIB = 1024 * 1024;
export const ROOT_UUID = "11111111-2222-4333-8444-555555555555";
export const HOME_UUID = "21111111-2222-4333-8444-555555555555";
export const SWAP_UUID = "31111111-2222-4333-8444-555555555555";

export const FSTAB = `# <file system> <mount point> <type> <options> <dump> <pass>
UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1
LABEL=a\\040label /home ext4 defaults 0 2
UUID="AB12-CD34" /boot/efi vfat noauto 0 1
UUID=${SWAP_UUID} none swap sw 0 0
proc /proc proc defaults 0 0
`;

export class Bench {
  readonly dir = scratchDirectory("vm");
  readonly said: string[] = [];

  constructor(t: TestContext) {
    t.after(async () => {
      const left = existsSync(this.planFile) ? loadPlan(this.planFile) : undefined;
      if (left !== undefined) await detachAll(left, { report: () => undefined });
    });
  }

  get planFile(): string {
    return join(this.dir, "plan.yaml");
  }

  plan(disks: readonly object[]): RestorePlan {
    const VM = { Name: "web1", Client: "hv1-fd", JobId: 7, Directory: join(this.dir, "mnt"), Disk: disks };
    writeFileSync(this.planFile, JSON.stringify({ VM }));
    return loadPlan(this.planFile);
  }

  /** Carries it out; what is restored is the guest's fstab and a kernel. */
  async run(
    plan: RestorePlan,
    during: (root: string) => void | Promise<void> = () => undefined,
  ): Promise<void> {
    const restore = async (): Promise<void> => {
      const root = rootOf(plan);
      mkdirSync(join(root, "etc"));
      mkdirSync(join(root, "boot"), { recursive: true });
      writeFileSync(join(root, "etc/fstab"), FSTAB);
      for (const name of ["vmlinuz-6.1.0-9", "vmlinuz-6.1.0-10", "initrd.img-6.1.0-10"])
        writeFileSync(join(root, "boot", name), name);
      await during(root);
    };
    const report = (line: string): void => void this.said.push(line);
    await restoreVm(plan, { report, restore, bootFiles: join(this.dir, "boot") });
  }

  /** Nothing is mounted, nothing attached. */
  released(plan: RestorePlan): void {
    assert.deepEqual(attached(plan), { mounts: [], loops: [] });
    assert.ok(!existsSync(rootOf(plan)));
  }
}

export const PARTITIONS = [
  { Number: 1, Size: "2m", Filesystem: "vfat", UUID: "AB12-CD34", Label: "EFI" },
  {
    Number: 2,
    Size: "20m",
    Filesystem: "ext4",
    UUID: ROOT_UUID,
    MkfsOptions: "-O ^metadata_csum -I 256",
    Mount: "/",
  },
  { Number: 5, Size: "8m", Filesystem: "swap", UUID: SWAP_UUID, Label: "swap" },
  { Number: 6, Filesystem: "ext4", UUID: HOME_UUID, Label: "a label", Mount: "/home" },
];
