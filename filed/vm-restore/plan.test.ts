/** Plans as they are written, the command that they become, and the guest's table of file systems. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import type { ConfigError } from "../../common/config/diagnostics.js";
import { Relocation } from "../../common/relocation.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { fstabNotes, fstabOf, readGuestFile } from "./fstab.js";
import { loadPlan, type RestorePlan } from "./plan.js";
import { restoreCommand } from "./through-director.js";
import { volumeName } from "./volume.js";

function plan(vm: object): RestorePlan {
  const file = join(scratchDirectory("plan"), "plan.yaml");
  writeFileSync(file, stringify({ VM: { Name: "web1", Client: "hv1-fd", JobId: 7, ...vm } }));
  return loadPlan(file);
}

const ROOT = { Filesystem: "ext4", Mount: "/" };
const DISK = { Device: "/dev/hv1/vm_web1-disk1", Size: "1 GB", Partition: [ROOT] };

test("what a plan may not say is told with its place", () => {
  const image = { Device: "/dev/a/b", Size: 512, Image: "/dev/a/snap_b" };
  const cases: [object, RegExp][] = [
    [{ Disk: [{ ...DISK, Device: "sda" }] }, /"sda" is not an absolute path/],
    [{ Disk: [{ ...DISK, Device: "/dev/vg/../sda" }] }, /is not an absolute path of a device/],
    [{ Disk: [{ ...DISK, Size: undefined, Device: "/x" }] }, /Disk "\/x" has no Size/],
    [{ Disk: [{ ...DISK, Sise: 1 }] }, /unknown directive "Sise" in .*did you mean/],
    [{ Disk: [DISK, DISK] }, /"\/dev\/hv1\/vm_web1-disk1" is given twice/],
    [{ Disk: [DISK, image] }, /come from different jobs: write a plan for each/],
    [{ Disk: [image, { ...image, Device: "/dev/a/c" }] }, /the image "\/dev\/a\/snap_b" is given twice/],
    [
      { Disk: [image, { ...image, Image: "/dev/a/x", Device: "/dev/a/snap_b" }] },
      /name of another Disk's Device/,
    ],
    [{ Disk: [{ ...image, Partition: [ROOT] }] }, /has an Image and Partitions/],
    [{ Disk: [{ Device: "/x", Size: 512 }] }, /neither an Image nor a Partition/],
    [{ Disk: [{ ...DISK, Table: "none", Partition: [ROOT, {}] }] }, /one Partition at most/],
    [{ Disk: [{ ...DISK, Partition: [{ Filesystem: "ext4" }] }] }, /no partition has Mount: \//],
    [{ Disk: [{ ...DISK, Partition: [ROOT, ROOT] }] }, /two partitions have Mount: \//],
    [
      { Disk: [{ ...DISK, Partition: [{ ...ROOT, Mount: "/a/../b" }] }] },
      /"\/a\/..\/b" is not an absolute path/,
    ],
    [
      { Disk: [{ ...DISK, Partition: [ROOT, { Mount: "/a" }] }] },
      /nothing can be mounted at \/a: Filesystem is none/,
    ],
    [{ Disk: [{ ...DISK, Partition: [{ ...ROOT, UUID: "AB12-CD34" }] }] }, /UUID of ext4 has the form/],
    [{ Disk: [{ ...DISK, Partition: [{ ...ROOT, Label: "-O x" }] }] }, /"-O x" is not a label/],
    [{ Disk: [{ ...DISK, Partition: [{ ...ROOT, Label: "seventeen letters" }] }] }, /at most 16 bytes/],
    [{ Disk: [{ ...DISK, Partition: [{ ...ROOT, Type: "83, bootable" }] }] }, /is not a type of partitions/],
    [{ Disk: [{ ...DISK, Partition: [{ ...ROOT, Name: 'a"\nsize=1' }] }] }, /is not a name of a partition/],
    [{ Disk: [{ ...DISK, Device: "/x", ThinPool: "pool" }] }, /must be \/dev\/GROUP\/VOLUME/],
    [{ Name: "a b", Disk: [DISK] }, /its name cannot be that of a directory/],
    [{ JobId: 0, Disk: [DISK] }, /"0" is not a whole number from 1/],
  ];
  for (const [vm, words] of cases) {
    assert.throws(
      () => plan(vm),
      (error: ConfigError) => {
        assert.equal(error.code, "CONFIG_INVALID");
        const told = error.diagnostics.map(({ message }) => message).join("\n");
        assert.match(told, words);
        return true;
      },
    );
  }
});

test("the restore goes below the mounts, or onto the named devices and no others", () => {
  const files = plan({ Disk: [DISK], Directory: "/run/r" });
  assert.equal(
    restoreCommand(files, [1, 7], "Restore Files"),
    'restore jobid=1,7 restoreclient="hv1-fd" restorejob="Restore Files" replace=always where="/run/r/web1" all done yes',
  );
  const Disk = [
    { Device: "/dev/hv2/vm_web1-disk1", Size: 512, Image: "/dev/hv1/snap_vm_web1-disk1" },
    { Device: "/dev/hv2/vm_web$1\\!", Size: 512, Image: "/dev/hv1/snap_vm_web1.disk+2!" },
  ];
  const command = restoreCommand(plan({ Disk }), [7]);
  assert.match(command, /file="\/dev\/hv1\/snap_vm_web1-disk1" file="\/dev\/hv1\/snap_vm_web1.disk\+2!" /);
  const [, quoted = ""] = /regexwhere="((?:[^"\\]|\\.)*)" yes$/.exec(command) ?? [];
  const relocation = new Relocation(quoted.replace(/\\(.)/g, "$1"));
  for (const { Image, Device } of Disk) assert.equal(relocation.text(Image), Device);
  const others = [
    "/dev/hv1/snap_vm_web1-disk10",
    "/dev/hv1/snap_vm_web1xdisk+2!",
    "/x/dev/hv1/snap_vm_web1-disk1",
  ];
  for (const other of others) assert.equal(relocation.text(other), other);
});

test("logical volumes by their names", () => {
  assert.deepEqual(volumeName("/dev/hv1/vm_web1-disk1"), { group: "hv1", volume: "vm_web1-disk1" });
  for (const no of [
    "/dev/sda",
    "/dev/mapper/hv1-x",
    "/dev/hv1/-x",
    "/dev/hv1/a b",
    "/srv/hv1/x",
    "/dev/disk/x",
  ])
    assert.equal(volumeName(no), undefined, no);
});

test("the guest's table: what the new disks have, what they lack, and no link is followed", () => {
  const UUID = "11111111-2222-4333-8444-555555555555";
  const disks = plan({
    Disk: [
      {
        ...DISK,
        Partition: [
          { ...ROOT, UUID },
          { Filesystem: "swap", Label: "s w" },
        ],
      },
    ],
  });
  const table = `# x\n\nUUID=${UUID.toUpperCase()} / ext4\nLABEL=s\\040w none swap sw 0 0\nhost:/x /n nfs defaults\n`;
  assert.deepEqual(fstabOf(table).swaps, ["LABEL=s w"]);
  assert.deepEqual(fstabNotes(table, disks), [
    "/etc/fstab needs no change: all that it names is on the new disks",
  ]);
  const notes = fstabNotes(
    `${table}/dev/vdb1 /a ext4 defaults\nUUID=x /b ext4 nofail\nUUID=y /c ext4\n`,
    disks,
  );
  assert.equal(notes.length, 3);
  assert.match(notes[0]!, /\/dev\/vdb1 \(\/a\) by its device/);
  assert.match(notes[1]!, /UUID=x \(\/b\), which is on no disk of the plan$/);
  assert.match(notes[2]!, /UUID=y \(\/c\), which is on no disk of the plan: the guest waits/);
  assert.match(fstabNotes(undefined, disks)[0]!, /has no \/etc\/fstab/);
  const root = scratchDirectory("guest");
  assert.equal(readGuestFile(root, "/etc/fstab"), undefined);
  symlinkSync("/etc", join(root, "etc"));
  assert.throws(() => readGuestFile(root, "/etc/passwd"), /\/etc is in the way: it is a symbolic link/);
  mkdirSync(join(root, "real"));
  symlinkSync("/etc/passwd", join(root, "real/fstab"));
  assert.throws(() => readGuestFile(root, "/real/fstab"), { code: "ELOOP" });
});
