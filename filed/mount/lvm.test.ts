import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { Random } from "../../test/helpers/random.js";
import { writeInto } from "../../test/helpers/sparse.js";
import { Area } from "../image/maps/source.js";
import { BytesSource, emptyImage, hasTools, MIB, tool } from "../image/maps/testing.js";
import { logicalVolumes, readPhysicalVolume } from "./lvm.js";
import { parseLvmText } from "./lvm-text.js";
import { disksOf, makeDisk, makeFileSystem, mountPlace, putInto } from "./testing.js";

/** Runs commands of the real lvm2 that need no device mapper, with a configuration for these devices alone. */
function lvmFor(devices: string[]): (...words: string[]) => string {
  const home = scratchDirectory("lvm");
  mkdirSync(join(home, "lock"));
  const filter = [...devices.map((device) => `"a|^${device}$|"`), '"r|.*|"'].join(", ");
  const lines = [
    `devices { use_devicesfile = 0 dir = "/dev" filter = [ ${filter} ] }`,
    "activation { udev_sync = 0 udev_rules = 0 }",
    "backup { backup = 0 archive = 0 }",
    `global { locking_dir = "${home}/lock" }`,
  ];
  writeFileSync(join(home, "lvm.conf"), `${lines.join("\n")}\n`);
  return (command, ...words) =>
    tool("env", `LVM_SYSTEM_DIR=${home}`, "lvm", command!, "--driverloaded", "n", ...words);
}

const EXTENT = 4 * MIB;
const INACTIVE = ["-y", "-an", "-Zn", "-Wn"];

test("logical volumes of two disks are mounted by their names; those in pieces are named", async (t) => {
  const place = mountPlace(t, {}, "lvm");
  if (place === undefined) return;
  const [first, second] = [emptyImage(120 * MIB), emptyImage(120 * MIB)];
  const [one, two] = [loopDevice(t, first), loopDevice(t, second)];
  if (one === undefined || two === undefined) return;
  const lvm = lvmFor([one, two]);
  // A small ring for the metadata, so that its text soon lies around its end.
  lvm("pvcreate", "--metadatasize", "16k", "--dataalignment", "64k", one, two);
  lvm("vgcreate", "-s", "4m", "vg-a", one, two);
  lvm("lvcreate", ...INACTIVE, "-L", "32M", "-n", "root", "vg-a", one);
  lvm("lvcreate", ...INACTIVE, "-L", "16M", "-n", "grown", "vg-a", one);
  lvm("lvextend", "-L", "24M", "vg-a/grown", two);
  lvm("lvcreate", ...INACTIVE, "-L", "16M", "-n", "my-data", "vg-a", two);
  lvm("lvextend", "-L", "32M", "vg-a/my-data", two);
  lvm("lvcreate", ...INACTIVE, "-i", "2", "-L", "16M", "-n", "striped", "vg-a");
  for (let round = 0; round < 8; round++)
    lvm("vgchange", "--addtag", `tag-${round}-${"x".repeat(100)}`, "vg-a");
  const start = Number(lvm("pvs", "--noheadings", "--units", "b", "--nosuffix", "-o", "pe_start", one));

  const fstab = [
    "/dev/mapper/vg--a-root / ext4 defaults 0 1",
    "UUID=11111111-2222-4333-8444-777777777777 /boot ext2 defaults 0 2",
    "/dev/vg-a/my-data /data ext4 defaults 0 2",
    "/dev/mapper/vg--a-grown /grown ext4 nofail 0 2",
    "/dev/vdc /last ext4 nofail 0 2",
  ];
  const files = { "etc/fstab": fstab.join("\n"), "boot/": "", "data/": "", "grown/": "", "last/": "" };
  const root = makeFileSystem({ kind: "ext4", size: 32 * MIB, files });
  putInto(first, start, root);
  const data = makeFileSystem({ kind: "ext4", size: 32 * MIB, files: { file: "on the second disk" } });
  putInto(second, start + 2 * EXTENT, data);
  const boot = makeFileSystem({
    kind: "ext2",
    size: MIB,
    options: ["-U", "11111111-2222-4333-8444-777777777777"],
  });
  const disks = disksOf(makeDisk("gpt", [boot, first]), second, makeFileSystem({ kind: "ext2", size: MIB }));

  await place.mount(disks);
  const told = place.lines.join("\n");
  assert.equal(readFileSync(join(place.root, "data/file"), "utf8"), "on the second disk");
  assert.match(told, /\/ is logical volume vg-a\/root \(ext4\)/);
  assert.match(told, /\/last is disk 3 /);
  assert.match(
    told,
    /vg--a-grown on \/grown: logical volume vg-a\/grown \(LVM logical volume in several pieces\)/,
  );
  assert.match(told, /vg-a\/striped \(LVM logical volume of type striped\) is not mounted/);
  await place.unmount();

  const without = mountPlace(t, { lvmInGuest: false })!;
  await assert.rejects(without.mount(disks), /etc\/fstab.*LVM physical volume/);
  await assert.rejects(place.mount(disks.slice(0, 1)), /my-data on \/data: .*on a disk that is not there/);
});

test("damaged metadata of LVM is no metadata", (t) => {
  if (!hasTools(t, "lvm")) return;
  const file = emptyImage(20 * MIB);
  const device = loopDevice(t, file);
  if (device === undefined) return;
  const lvm = lvmFor([device]);
  lvm("pvcreate", device);
  lvm("vgcreate", "vg", device);
  lvm("lvcreate", ...INACTIVE, "-l", "2", "-n", "lv", "vg");
  const bytes = readFileSync(file);
  const volumesIn = (image: Buffer) => {
    const found = readPhysicalVolume(new Area(new BytesSource(image), 0, image.length), "here");
    return found === undefined ? [] : logicalVolumes([found]);
  };
  const [good, ...more] = volumesIn(bytes);
  assert.deepEqual([good?.group, good?.name, more.length], ["vg", "lv", 0]);
  const where = good!.where as { offset: number; size: number };
  assert.deepEqual([where.offset, where.size], [MIB, 2 * EXTENT]);
  const random = new Random(3);
  for (let round = 0; round < 300; round++) {
    const image = Buffer.from(bytes.subarray(0, 2 * MIB));
    // The label, the header of the metadata, and the text.
    const at = [512, 4096, 4096 + 512][round % 3]! + random.below(512);
    image[at] = random.below(256);
    for (const { where } of volumesIn(image)) assert.ok(typeof where === "string" || where.size > 0);
  }
  writeInto(file, [[512, Buffer.alloc(512)]]);
  assert.deepEqual(volumesIn(readFileSync(file)), []);
});

test("text of LVM that is none is refused, whatever its depth", () => {
  const good = parseLvmText(
    '# x\nvg {\n a = 1 b = "q\\"\\\\" c = ["x", -2, []]\n d { e = [] } }\ncontents = "t"\0\0',
  )!;
  const vg = good.sections.get("vg")!;
  assert.deepEqual(
    [...vg.values],
    [
      ["a", 1],
      ["b", 'q"\\'],
      ["c", ["x", -2, []]],
    ],
  );
  assert.deepEqual([...vg.sections.keys()], ["d"]);
  for (const bad of [
    "a",
    "a =",
    "a = [",
    "a = [1",
    "a = [1 2]",
    "a {",
    "}",
    "a } b",
    "= 1",
    "a = b",
    'a = "x',
    "a { } }",
    "\u00ff",
  ])
    assert.equal(parseLvmText(bad), undefined, bad);
  assert.equal(parseLvmText("a { ".repeat(5000)), undefined);
  assert.equal(parseLvmText(`a = ${"[".repeat(50_000)}`), undefined);
  assert.equal(parseLvmText(`a = ${"9".repeat(400)}`), undefined);
  assert.equal(parseLvmText("__proto__ { x = 1 }")!.sections.get("__proto__")!.values.get("x"), 1);
});
