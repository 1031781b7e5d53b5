/** Disks made and released again, on files and loop devices. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { asRoot } from "../../common/test-needs.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { mountTable } from "../mount/mount-table.js";
import { attached, detachAll, lockPlan } from "./attach.js";
import { describeDisks } from "./describe.js";
import { loopsOver } from "./device-use.js";
import { loadPlan, type RestorePlan } from "./plan.js";
import { planText } from "./plan-text.js";
import { restoreVm } from "./restore-vm.js";
import { Bench, FSTAB, HOME_UUID, MIB, PARTITIONS, ROOT_UUID, SWAP_UUID } from "./testing.js";

/** What blkid says of partition `number`. */
function blkid(file: string, number: number): Record<string, string> {
  const { partitiontable } = JSON.parse(execFileSync("sfdisk", ["--json", file], { encoding: "utf8" }));
  const part = partitiontable.partitions.find(({ node }: { node: string }) => node.endsWith(String(number)));
  const range = ["-O", String(part.start * 512), "-S", String(part.size * 512)];
  const text = execFileSync("blkid", ["-p", "-o", "export", ...range, file], { encoding: "utf8" });
  return Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split("=")),
  );
}

test("a missing file becomes a disk with a GPT, its file systems are those that fstab names, and all is released", async (t) => {
  if (!asRoot(t)) return;
  const bench = new Bench(t);
  const disk = join(bench.dir, "disk1.raw");
  const plan = bench.plan([{ Device: disk, Size: "64m", DiskId: ROOT_UUID, Partition: PARTITIONS }]);
  await bench.run(plan, (root) => {
    const mounts = mountTable().filter(({ point }) => point.startsWith(root));
    assert.deepEqual(
      mounts.map(({ point, type }) => `${point.slice(root.length)} ${type}`),
      [" ext4", "/home ext4"],
    );
    writeFileSync(join(root, "home/file"), "content");
  });
  bench.released(plan);
  assert.equal(statSync(disk).size, 64 * MIB);
  assert.equal(blkid(disk, 1).UUID, "AB12-CD34");
  assert.equal(blkid(disk, 2).UUID, ROOT_UUID);
  assert.equal(blkid(disk, 5).TYPE, "swap");
  assert.equal(blkid(disk, 5).UUID, SWAP_UUID);
  assert.equal(blkid(disk, 6).LABEL?.replace("\\", ""), "a label");
  const said = bench.said.join("\n");
  assert.match(said, /\/etc\/fstab needs no change/);
  assert.match(
    said,
    new RegExp(`-kernel vmlinuz-6.1.0-10 -initrd initrd.img-6.1.0-10 -append "root=UUID=${ROOT_UUID} ro`),
  );
  assert.equal(readFileSync(join(bench.dir, "boot/kernel"), "utf8"), "vmlinuz-6.1.0-10");

  // The same plan again is refused: there is something on the disk now.
  await assert.rejects(
    bench.run(plan),
    /holds a partition table \(gpt\): if that may go, say Overwrite: yes/,
  );

  // What describe makes of it is the plan that it came from, with the places filled in.
  const mount = join(bench.dir, "look");
  mkdirSync(join(mount, "etc"), { recursive: true });
  writeFileSync(join(mount, "etc/fstab"), FSTAB);
  const { disks, remarks } = await describeDisks([disk], mount);
  assert.deepEqual(remarks, []);
  assert.deepEqual(
    disks[0]!.partitions.map(({ number, filesystem, uuid, label, mount }) => [
      number,
      filesystem,
      uuid,
      label,
      mount,
    ]),
    [
      [1, "vfat", "AB12-CD34", "EFI", "/boot/efi"],
      [2, "ext4", ROOT_UUID, undefined, "/"],
      [5, "swap", SWAP_UUID, "swap", undefined],
      [6, "ext4", HOME_UUID, "a label", "/home"],
    ],
  );
  assert.ok(!disks[0]!.partitions[1]!.options.join(" ").includes("metadata_csum"));
  // Not every machine that runs tests can mount vfat.
  const text = planText({ vm: "web1", client: "hv1-fd", jobId: 7, disks, remarks }).replace(
    / +Mount: .*efi\n/,
    "",
  );
  const copy = join(bench.dir, "disk2.raw");
  const directory = `JobId: 7\n  Directory: ${bench.dir}/mnt`;
  writeFileSync(bench.planFile, text.replace(disk, copy).replace("JobId: 7", directory));
  const again = loadPlan(bench.planFile);
  await bench.run(again);
  bench.released(again);
  const dump = (file: string): string =>
    execFileSync("sfdisk", ["--dump", file], { encoding: "utf8" }).replaceAll(file, "DISK");
  assert.equal(dump(copy), dump(disk));
  execFileSync("e2fsck", ["-fn", `${copy}?offset=${disks[0]!.partitions[1]!.startBytes}`], { stdio: "pipe" });
});

test("a block device with an MBR and logical partitions; a whole disk without a table", async (t) => {
  const bench = new Bench(t);
  const backing = join(bench.dir, "backing");
  writeFileSync(backing, "");
  truncateSync(backing, 64 * MIB);
  const device = loopDevice(t, backing);
  if (device === undefined) return;
  const whole = join(bench.dir, "whole.raw");
  const plan = bench.plan([
    {
      ...{ Device: device, Size: "60m", Table: "mbr", DiskId: "0x1234abcd" },
      Partition: [
        { Number: 1, Size: "20m", Filesystem: "ext3", UUID: ROOT_UUID, Bootable: "yes", Mount: "/" },
        { Number: 2, Type: "5" },
        { Number: 5, Size: "8m", Filesystem: "swap" },
        { Number: 6, Filesystem: "ext4", Label: "a label", Mount: "/home" },
      ],
    },
    { Device: whole, Size: "16m", Table: "none", Partition: [{ Filesystem: "ext4", Mount: "/srv" }] },
  ]);
  await bench.run(plan);
  bench.released(plan);
  assert.match(bench.said.join("\n"), /larger than the plan's Size by 4,194,304 bytes/);
  assert.match(bench.said.join("\n"), /no line of \/etc\/fstab mounts \/srv/);
  assert.match(
    bench.said.join("\n"),
    /names UUID=31111111-\S+ \(swap\), which is on no disk of the plan: the guest waits/,
  );
  const dump = execFileSync("sfdisk", ["--dump", device], { encoding: "utf8" });
  assert.match(dump, /label-id: 0x1234abcd/);
  assert.match(dump, new RegExp(`${device}p1 .*type=83, bootable`));
  assert.match(dump, new RegExp(`${device}p6 .*type=83`));
  execFileSync("e2fsck", ["-fn", whole], { stdio: "pipe" });
});

test("a restore that fails or is interrupted leaves nothing behind; leftovers of a killed run are found and released", async (t) => {
  if (!asRoot(t)) return;
  const bench = new Bench(t);
  const disk = join(bench.dir, "disk.raw");
  const plan = bench.plan([{ Device: disk, Size: "64m", Overwrite: "yes", Partition: PARTITIONS }]);
  await assert.rejects(
    bench.run(plan, () => {
      throw new BackupError("RESTORE_VM", "the job failed");
    }),
    /the job failed/,
  );
  bench.released(plan);
  const lock = lockPlan(plan);
  await assert.rejects(bench.run(plan), { code: "ALREADY_RUNNING" });
  lock.release();
  const quiet = { report: () => undefined };
  await assert.rejects(
    restoreVm(plan, { ...quiet, restore: async () => undefined }),
    /nothing was restored into/,
  );
  bench.released(plan);
  const early = AbortSignal.abort();
  await assert.rejects(restoreVm(plan, { ...quiet, restore: async () => undefined, signal: early }), {
    code: "INTERRUPTED",
  });
  bench.released(plan);
  const child = execKilled(plan);
  await assert.rejects(child);
  assert.equal(attached(plan).mounts.length, 2);
  assert.equal(attached(plan).loops.length, 4);
  await assert.rejects(bench.run(plan), /left by a run that was killed.*basalt restore-vm cleanup/);
  await detachAll(plan, quiet);
  bench.released(plan);
  assert.deepEqual(loopsOver(disk), []);
});

/** A process that mounts everything and kills itself. */
async function execKilled(plan: RestorePlan): Promise<void> {
  const module = new URL("./restore-vm.js", import.meta.url).href;
  const plans = new URL("./plan.js", import.meta.url).href;
  const script = `import { restoreVm } from ${JSON.stringify(module)};
    import { loadPlan } from ${JSON.stringify(plans)};
    const restore = async () => process.kill(process.pid, "SIGKILL");
    await restoreVm(loadPlan(process.argv[1]), { report: () => undefined, restore });`;
  execFileSync(process.execPath, ["--input-type=module", "-e", script, plan.file], { stdio: "pipe" });
}
