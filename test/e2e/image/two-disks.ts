/** A machine with two disks: its root and /home in partitions of the first, /srv on all of the second. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tool } from "../../../filed/image/maps/testing.js";
import { makeDisk, makeFileSystem, whileMounted } from "../../../filed/mount/testing.js";
import { noise } from "../../helpers/random.js";
import { makeOddTree } from "../../helpers/tree.js";

export const MIB = 1024 * 1024;
const ROOT_UUID = "6f2a1b00-0000-4000-8000-000000000001";
const HOME_UUID = "6f2a1b00-0000-4000-8000-000000000002";
const FSTAB = [
  `UUID=${ROOT_UUID} / ext4 defaults 0 1`,
  `UUID=${HOME_UUID} /home ext4 defaults 0 2`,
  "/dev/vdb /srv xfs defaults 0 2",
];

/** Mount options for the root's partition. */
export const ROOT_PARTITION = `loop,offset=${MIB},sizelimit=${192 * MIB}`;
const HOME_PARTITION = `loop,offset=${193 * MIB},sizelimit=${32 * MIB}`;

/** The two files; `guest` is a directory to mount in. */
export async function makeTwoDisks(one: string, two: string, guest: string): Promise<void> {
  const root = makeFileSystem({
    kind: "ext4",
    size: 192 * MIB,
    options: ["-U", ROOT_UUID, "-b", "4096"],
    files: {
      "etc/fstab": `${FSTAB.join("\n")}\n`,
      "etc/passwd": "root:x:0:0::/:/bin/sh\n",
      "etc/evil": { link: "/etc/shadow" },
      lib64: { link: "usr/lib" },
      "usr/lib/": "",
      "home/": "",
      "srv/": "",
    },
  });
  whileMounted(root, (directory) => {
    mkdirSync(join(directory, "bulk"));
    for (let i = 0; i < 8; i++) writeFileSync(join(directory, "bulk", `b${i}`), noise(8 * MIB, `bulk ${i}`));
  });
  // The odd tree is made by a program that is waited for.
  tool("mount", "-o", "loop", root, guest);
  try {
    await makeOddTree(join(guest, "odd"), { hugeDirectory: 700 });
  } finally {
    tool("umount", guest);
  }
  const options = ["-U", HOME_UUID];
  const home = makeFileSystem({ kind: "ext4", options, files: { "user/notes": "mine\n" } });
  const data = makeFileSystem({ kind: "xfs", files: { "www/index": "hello\n" } });
  tool("cp", "--sparse=always", makeDisk("gpt", [root, home]), one);
  tool("cp", "--sparse=always", data, two);
}

/** Mounts the machine's tree, read-only, by the kernel alone. */
export async function withTwoDisks(
  one: string,
  two: string,
  guest: string,
  work: () => Promise<void>,
): Promise<void> {
  tool("mount", "-o", `ro,noload,${ROOT_PARTITION}`, one, guest);
  try {
    tool("mount", "-o", `ro,noload,${HOME_PARTITION}`, one, join(guest, "home"));
    tool("mount", "-o", "ro,loop,norecovery", two, join(guest, "srv"));
    await work();
  } finally {
    tool("umount", "-R", guest);
  }
}

/** Lines of mounts and loop devices that have to do with a directory. */
export function mountsAndLoops(dir: string): string[] {
  const args = ["-l", "-n", "-O", "NAME,BACK-FILE"];
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  const loops = execFileSync("losetup", args, { encoding: "utf8" }).split("\n");
  return [...mounts, ...loops].filter((line) => line.includes(dir));
}
