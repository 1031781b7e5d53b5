import assert from "node:assert/strict";
import { test } from "node:test";
import { VolumeFinder } from "./find-volume.js";
import { parseFstab } from "./fstab.js";
import { other } from "./superblock.js";
import type { Volume } from "./volumes.js";

test("an fstab's entries for disks are found among comments, network and kernel file systems", () => {
  const text = [
    "# /etc/fstab",
    "UUID=aa / ext4 defaults 0 1",
    "  LABEL=data\t\t/srv//my\\040files/ xfs defaults,nofail 0 0",
    "/dev/vda2 none swap sw 0 0",
    "UUID=bb swap swap",
    "proc /proc proc defaults 0 0",
    "host:/export /mnt nfs _netdev 0 0",
    "//server/share /mnt cifs guest 0 0",
    "/srv /mnt none bind 0 0",
    "/dev/vdb1 /bound none rbind,ro 0 0",
    "/dev/sr0 /media/cdrom iso9660 noauto 0 0",
    "/dev/mapper/vg-home /home ext4 noauto 0 0",
    "UUID=cc /win ntfs-3g defaults 0 0",
  ].join("\n");
  const fstab = parseFstab(text);
  assert.deepEqual(
    fstab.entries.map(({ line, device, place, isOptional }) => [line, device, place.join("/"), isOptional]),
    [
      [2, "UUID=aa", "", false],
      [3, "LABEL=data", "srv/my files", true],
      [12, "/dev/mapper/vg-home", "home", true],
      [13, "UUID=cc", "win", true],
    ],
  );
  assert.deepEqual(fstab.swaps, ["/dev/vda2", "UUID=bb"]);
  assert.deepEqual(fstab.remarks, []);
});

test("hostile entries are left out and counted within limits", () => {
  const bad = [
    "/dev/vda1 /a/../../etc ext4",
    "/dev/vda1 relative ext4",
    "/dev/vda1",
    "/dev/vda1 /\\000etc ext4",
    "/dev/vda1 /nul\0 ext4",
    "/dev/vda1 /\\377\\376 ext4",
    `/dev/vda1 /${"x/".repeat(3000)} ext4`,
  ];
  const found = parseFstab(bad.join("\n"));
  assert.deepEqual(found.entries, []);
  assert.equal(found.remarks.length, bad.length);
  assert.match(found.remarks[0]!, /^line 1: its mount point leads upwards/);
  const many = parseFstab("/dev/vdb /x ext4\n".repeat(20_000));
  assert.equal(many.entries.length, 1000);
  assert.equal(many.remarks.length, 20);
});

test("escapes that are none, quotes and lines of odd bytes do no harm", () => {
  assert.deepEqual(parseFstab("UUID=a\\9 /a\\04 x\n\\ \\ \\\n\r\n\0\0\0").entries, [
    { line: 1, device: "UUID=a\\9", place: ["a\\04"], isOptional: true },
  ]);
});

function volume(disk: number, partition: number, more: Partial<Volume> = {}): Volume {
  return {
    name: `${disk}.${partition}`,
    disk: { number: disk, device: `/dev/none${disk}`, writable: false },
    ...{ partition, offset: 0, size: 1, content: other("nothing known", false), ...more },
  };
}

test("names of devices mean what they mean in the guest", () => {
  const fileSystem = { type: "ext", uuid: "0ab1-22", label: "my data", hasJournalToReplay: false } as const;
  const volumes = [
    volume(1, 1, { partUuid: "c0ffee00-01", partLabel: "boot" }),
    volume(1, 2, { content: fileSystem }),
    volume(3, 0),
    volume(4, 5),
  ];
  const fstab = parseFstab("/dev/vdb none swap sw 0 0\n/dev/vda3 none swap sw 0 0\n");
  const finder = new VolumeFinder(volumes, fstab);
  const found: Record<string, string | undefined> = {
    "UUID=0AB1-22": "1.2",
    'UUID="0ab1-22"': "1.2",
    "LABEL=my data": "1.2",
    "LABEL=My data": undefined,
    "PARTUUID=C0FFEE00-01": "1.1",
    "PARTLABEL=boot": "1.1",
    "/dev/disk/by-uuid/0ab1-22": "1.2",
    "/dev/disk/by-label/my\\x20data": "1.2",
    "/dev/disk/by-partlabel/boot": "1.1",
    "/dev/disk/by-id/virtio-1": undefined,
    "/dev/vda1": "1.1",
    "/dev/sda2": "1.2",
    "/dev/vdb": undefined,
    "/dev/vdc": "3.0",
    "/dev/xvdd5": "4.5",
    "/dev/vde": undefined,
    "/dev/nvme0n1p2": "1.2",
    "/dev/mmcblk0p1": "1.1",
    "/dev/mapper/vg-root": undefined,
    "UUID=": undefined,
    "LABEL=": undefined,
    "__proto__=x": undefined,
    "/dev/disk/by-constructor/x": undefined,
  };
  for (const [device, name] of Object.entries(found)) assert.equal(finder.find(device)?.name, name, device);
});
