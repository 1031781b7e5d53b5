/** Guests that want to get out of their tree, or to bring the host down: what they can do to a mount. */
import assert from "node:assert/strict";
import { existsSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import { writeInto } from "../../test/helpers/sparse.js";
import { emptyImage, MIB, tool } from "../image/maps/testing.js";
import { mountTable } from "./mount-table.js";
import {
  disksOf,
  type Filling,
  isAnythingLeft,
  makeDisk,
  makeFileSystem,
  mountPlace,
  whileMounted,
} from "./testing.js";

const rootWith = (fstab: string, files: Filling["files"] = {}): Filling => ({
  kind: "ext4",
  files: { "etc/fstab": `/dev/vda / ext4 defaults\n${fstab}`, ...files },
});

test("mount points that are symlinks, files, missing or upwards lead nowhere", async (t) => {
  const place = mountPlace(t, { incomplete: true });
  if (place === undefined) return;
  const etc = statSync("/etc");
  const points = ["/var", "/up", "/up/etc", "/loop", "/file", "/missing", "/boot/efi", "/a/../../etc"];
  const lines = points.map((point, index) => `/dev/vd${String.fromCharCode(99 + index)} ${point} ext4`);
  const root = rootWith(["/dev/vdb /boot ext4", ...lines].join("\n"), {
    ...{ var: { link: "/etc" }, up: { link: "../../../../../../.." }, loop: { link: "loop" } },
    ...{ file: "no directory", "boot/": "" },
  });
  const boot = makeFileSystem({ kind: "ext2", size: MIB, files: { efi: { link: "/etc" } } });
  const others = points.map(() => makeFileSystem({ kind: "ext2", size: MIB, files: { trap: "!" } }));
  const disks = disksOf(makeFileSystem(root), boot, ...others);
  const hostPoints = new Set(mountTable().map(({ point }) => point));
  await place.mount(disks);
  // Other tests mount in their own directories beside this one's.
  const isOthers = (point: string): boolean =>
    point.startsWith(`${tmpdir()}/basalt-`) && !point.startsWith(place.root);
  const added = mountTable()
    .map(({ point }) => point)
    .filter((point) => !hostPoints.has(point) && !isOthers(point));
  assert.deepEqual(added, [place.root, place.root, join(place.root, "boot")]);
  assert.equal(statSync("/etc").dev, etc.dev);
  assert.equal(place.lines.filter((line) => /symlinks are not followed/.test(line)).length, 7);
  assert.ok(place.lines.some((line) => /leads upwards by "\.\."/.test(line)));
  await place.unmount();
  const strict = mountPlace(t)!;
  await assert.rejects(strict.mount(disks), /line 3: \/dev\/vdc on \/var: .*symlinks are not followed/);
  assert.ok(!isAnythingLeft(strict.root) && !existsSync(strict.root));
});

test("an fstab that is a symlink, a pipe, a directory or huge is none", async (t) => {
  const place = mountPlace(t, {}, "mkfifo");
  if (place === undefined) return;
  const disk = makeFileSystem({ kind: "ext4", files: { "etc/fstab": { link: "/etc/fstab" } } });
  const changes: ((etc: string) => void)[] = [
    () => undefined,
    (etc) => void tool("mkfifo", join(etc, "fstab")),
    (etc) => void tool("mknod", join(etc, "fstab"), "c", "1", "5"),
    (etc) => void tool("mkdir", join(etc, "fstab")),
    (etc) => void tool("truncate", "-s", "1G", join(etc, "fstab")),
    (etc) => {
      rmSync(etc, { recursive: true });
      tool("ln", "-s", "/etc", etc);
    },
  ];
  for (const [index, change] of changes.entries()) {
    whileMounted(disk, (directory) => {
      if (index > 0) rmSync(join(directory, "etc", "fstab"), { recursive: true });
      change(join(directory, "etc"));
    });
    await assert.rejects(place.mount(disksOf(disk)), /none of its file systems has an etc\/fstab.*as images/);
    assert.ok(!isAnythingLeft(place.root));
  }
});

test("device nodes open nothing and set-uid programs do not run", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const disk = makeFileSystem(rootWith(""));
  whileMounted(disk, (directory) => {
    tool("mknod", join(directory, "zero"), "c", "1", "5");
    tool("cp", "/bin/true", join(directory, "program"));
    tool("chmod", "6755", join(directory, "program"));
  });
  await place.mount(disksOf(disk));
  assert.throws(() => openSync(join(place.root, "zero"), "r"), { code: "EACCES" });
  assert.throws(() => tool(join(place.root, "program")), { code: "EACCES" });
  assert.equal(statSync(join(place.root, "program")).mode & 0o7777, 0o6755);
});

test("thousands of entries mount each file system once, and at most so many are read", async (t) => {
  const place = mountPlace(t, { incomplete: true });
  if (place === undefined) return;
  const points = Array.from({ length: 5000 }, (_, index) => `/m${index}`);
  const fstab = points.map((point) => `/dev/vdb ${point} ext4`).join("\n");
  const files = Object.fromEntries(points.slice(0, 3).map((point) => [`${point}/`, ""]));
  const other = makeFileSystem({ kind: "ext2", size: MIB });
  await place.mount(disksOf(makeFileSystem(rootWith(fstab, files)), other));
  const rows = mountTable().filter(({ point }) => point.startsWith(place.root));
  assert.equal(rows.length, 3);
  assert.ok(place.lines.length < 310, `${place.lines.length} lines`);
});

test("a superblock that asks for a panic, or names another device as its journal", async (t) => {
  const place = mountPlace(t, {}, "tune2fs");
  if (place === undefined) return;
  const disk = makeFileSystem(rootWith(""));
  tool("tune2fs", "-e", "panic", disk);
  await place.mount(disksOf(disk));
  const line = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((one) => one.includes(place.root))
    .at(-1)!;
  assert.match(line, /errors=remount-ro/);
  await place.unmount();
  tool("tune2fs", "-O", "^metadata_csum", disk);
  const journalDevice = Buffer.from([1, 7, 0, 0]);
  writeInto(disk, [[1024 + 0xe4, journalDevice]]);
  await assert.rejects(place.mount(disksOf(disk)), /its journal is on another device/);
  writeInto(disk, [[1024 + 0xe4, Buffer.alloc(4)]]);
  writeInto(disk, [[1024 + 0x200, Buffer.from("acl,journal_path=/dev/vda")]]);
  await assert.rejects(place.mount(disksOf(disk)), /its journal is on another device/);
});

test("superblocks with random damage are mounted or refused, and nothing of them stays", async (t) => {
  const place = mountPlace(t, {}, "mkfs.xfs");
  if (place === undefined) return;
  const random = new Random(7);
  for (const kind of ["ext4", "xfs"] as const) {
    const good = makeFileSystem({ ...rootWith(""), kind });
    for (let round = 0; round < 8; round++) {
      const disk = emptyImage(0);
      tool("cp", "--sparse=always", good, disk);
      const from = kind === "ext4" ? 1024 : 0;
      for (let flips = 0; flips < 3; flips++)
        writeInto(disk, [
          [from + random.below(kind === "ext4" ? 1024 : 300), Buffer.from([random.below(256)])],
        ]);
      await place.mount(disksOf(disk)).then(
        () => assert.ok(readdirSync(place.root).length > 0),
        (error) => assert.match(String(error), /cannot mount the file systems of web-1/),
      );
      await place.unmount();
      assert.ok(!isAnythingLeft(place.root));
    }
  }
});

/** An entry of an MBR, in sectors. */
function entry(start: number, count: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes[4] = 0x83;
  bytes.writeUInt32LE(start, 8);
  bytes.writeUInt32LE(count, 12);
  return bytes;
}

test("partitions that overlap or reach beyond the disk are left out, and said so", async (t) => {
  const place = mountPlace(t, { incomplete: true });
  if (place === undefined) return;
  const root = rootWith("/dev/vda2 /a ext4\n/dev/vda3 /b ext4\n/dev/vda4 /c ext4\n", {
    "a/": "",
    "b/": "",
    "c/": "",
  });
  const disk = makeDisk("dos", [root, { kind: "ext2", size: 4 * MIB }]);
  const second = (1 + 32) * 2048;
  writeInto(disk, [
    [446 + 16, Buffer.concat([entry(second, 4 * 2048), entry(second + 8, 100), entry(60 * 2048, 0xfffffff)])],
  ]);
  await place.mount(disksOf(disk));
  const told = place.lines.join("\n");
  assert.match(told, /\/dev\/vda2 on \/a: disk 1 partition 2 \(overlaps partition 3\)/);
  assert.match(told, /\/dev\/vda3 on \/b: disk 1 partition 3 \(overlaps partition 2\)/);
  assert.match(told, /\/dev\/vda4 on \/c: disk 1 partition 4 \(reaches beyond the disk\)/);
  await place.unmount();
  writeInto(disk, [[446, entry(2048, 0xfffffff)]]);
  await assert.rejects(place.mount(disksOf(disk)), /disk 1 partition 1 \(overlaps partition \d/);
});
