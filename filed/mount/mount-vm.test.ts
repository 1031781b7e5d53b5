import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { asRoot } from "../../common/test-needs.js";
import { hasTools, MIB, tool } from "../image/maps/testing.js";
import { mountsWithin } from "./mount-table.js";
import { disksOf, type Filling, isAnythingLeft, makeDisk, makeFileSystem, mountPlace } from "./testing.js";
import { volumesOf } from "./volumes.js";

const ROOT_ID = "11111111-2222-4333-8444-555555555555";
const BOOT_ID = "11111111-2222-4333-8444-666666666666";

test("a GPT disk and a second one without a table become one tree, and nothing of it stays", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const fstab = [
    "# made by the installer",
    `UUID=${ROOT_ID.toUpperCase()} / ext4 defaults 0 1`,
    `UUID="${BOOT_ID}"\t/boot ext3 ro 0 2`,
    "/dev/vdb /srv/data\\040here auto defaults 0 2",
    "/dev/vda3 none swap sw 0 0",
    "tmpfs /tmp tmpfs defaults 0 0",
    "nfs:/export /mnt nfs defaults 0 0",
    "/srv /home none bind 0 0",
    "",
  ].join("\n");
  const boot = { kind: "ext3", files: { vmlinuz: "kernel" }, options: ["-U", BOOT_ID] } as const;
  const root = {
    kind: "ext4",
    files: { "etc/fstab": fstab, "boot/": "", "srv/data here/": "", "home/own": "x" },
    options: ["-U", ROOT_ID],
  } as const;
  const disk1 = makeDisk("gpt", [boot, root, { kind: "swap" }]);
  const disk2 = makeFileSystem({ kind: "ext2", files: { "a/b": "deep" } });
  await place.mount(disksOf(disk1, disk2));
  assert.equal(readFileSync(join(place.root, "boot/vmlinuz"), "utf8"), "kernel");
  assert.equal(readFileSync(join(place.root, "srv/data here/a/b"), "utf8"), "deep");
  assert.equal(readFileSync(join(place.root, "home/own"), "utf8"), "x");
  const rows = mountsWithin(place.root);
  assert.deepEqual(
    rows.map(({ point }) => point.slice(place.root.length)),
    ["", "", "/boot", "/srv/data here"],
  );
  for (const { options } of rows.slice(1))
    for (const wanted of ["ro", "nodev", "nosuid", "noexec"]) assert.ok(options.includes(wanted), wanted);
  assert.equal(statSync(join(place.root, "..")).mode & 0o777, 0o700);
  assert.ok(place.lines.includes("web-1: disk 1 partition 3 (swap) is not mounted"), place.lines.join("\n"));
  await assert.rejects(place.mount(disksOf(disk1)), /something is mounted on .*remove that first/);
  await place.unmount();
  assert.ok(!isAnythingLeft(place.root));
  assert.ok(!existsSync(place.root));
  assert.ok(!tool("losetup", "-a").includes(disk1));
  await place.unmount();
});

test("identities of file systems are what blkid calls them", (t) => {
  if (!hasTools(t, "blkid", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat")) return;
  const fillings: Filling[] = [
    { kind: "ext2", options: ["-L", "sixteen letters!"] },
    { kind: "ext4", options: ["-L", "größe"] },
    { kind: "btrfs", options: ["-L", "a btrfs".repeat(10)] },
    { kind: "vfat", options: ["-F", "32", "-n", "EFI SYS"], size: 64 * MIB },
    { kind: "vfat", options: ["-F", "16", "-n", "SMALL"] },
    { kind: "vfat", options: ["-F", "12"], size: 2 * MIB },
  ];
  if (asRoot(t)) fillings.push({ kind: "xfs", options: ["-L", "twelve chars"] });
  for (const filling of fillings) {
    const file = makeFileSystem(filling);
    const [volume] = volumesOf(disksOf(file));
    const { content } = volume!;
    assert.ok(content.type !== "other", filling.kind);
    const value = (name: string) => tool("blkid", "-p", "-s", name, "-o", "value", file).trim();
    assert.equal(content.uuid, value("UUID").toLowerCase());
    assert.equal(content.label, value("LABEL"));
    assert.equal(content.hasJournalToReplay, false, filling.kind);
  }
});

test("a root whose fstab calls it otherwise, and a second root", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const other = { kind: "ext4", files: { "etc/fstab": "/dev/root / ext4", which: "first" } } as const;
  await place.mount(disksOf(makeFileSystem(other)));
  assert.match(place.lines.join("\n"), /Warning: etc\/fstab says that \/ is \/dev\/root/);
  await place.unmount();
  const own = { kind: "ext4", files: { "etc/fstab": "/dev/sdb2 / ext4", which: "second" } } as const;
  const disks = disksOf(makeFileSystem(other), makeDisk("dos", [{ kind: "none", size: MIB }, own]));
  await place.mount(disks);
  assert.equal(readFileSync(join(place.root, "which"), "utf8"), "second");
});

test("subvolumes of one btrfs in fstab: the machine would not be whole", async (t) => {
  const place = mountPlace(t, {}, "mkfs.btrfs");
  if (place === undefined) return;
  const fstab = "/dev/vda / btrfs subvol=@\n/dev/vda /home btrfs subvol=@home";
  const disk = makeFileSystem({ kind: "btrfs", files: { "etc/fstab": fstab, "home/": "" } });
  await assert.rejects(place.mount(disksOf(disk)), /\/home: of a btrfs the default subvolume alone/);
});

test("clones are mounted beside each other", async (t) => {
  const [one, two] = [mountPlace(t, {}, "mkfs.xfs"), mountPlace(t)];
  if (one === undefined || two === undefined) return;
  const disk = makeFileSystem({ kind: "xfs", files: { "etc/fstab": "/dev/vda / xfs", "srv/": "" } });
  const copy = `${disk}-2`;
  copyFileSync(disk, copy);
  await one.mount(disksOf(disk));
  await two.mount(disksOf(copy));
  assert.ok(existsSync(join(one.root, "srv")) && existsSync(join(two.root, "srv")));
});
