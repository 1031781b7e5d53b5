/**
 * An installer small enough for emulation: Debian's cloud kernel, and an initial RAM disk with busybox and a script that
 * fetches what `ks=` names, partitions the disk, makes a file system, writes what the file says, and powers off.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../../helpers/tree-ops.js";

export interface TinyInstaller {
  kernel: string;
  initrd: string;
}

/** In the order in which they are loaded. */
const MODULES = [
  ...["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev"],
  ...["virtio/virtio_pci", "block/virtio_blk"],
];
const NET_MODULES = ["net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"];

/** One order a line: `dir PATH`, `file PATH TEXT`, `fail`, `panic`, `hang`; power-off at the end. */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /target
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod $module; done
die() { echo "installer: $*"; poweroff -f; sleep 60; }
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 || die "no network"
url=$(sed -n 's/.*ks=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
[ -n "$url" ] || die "no ks= on the command line"
wget -q -O /ks "$url" || die "cannot fetch $url"
echo "installer: fetched $(wc -l </ks) orders"
printf 'o\\nn\\np\\n1\\n\\n\\nw\\n' | fdisk /dev/vda >/dev/null 2>&1
[ -b /dev/vda1 ] || mdev -s
mke2fs -L root /dev/vda1 >/dev/null && mount -t ext4 /dev/vda1 /target || die "no file system"
while read -r order path text; do
  case $order in
    dir) mkdir -p "/target/$path" ;;
    file) echo "$text" >"/target/$path" ;;
    fail) die "the recipe says fail" ;;
    panic) echo "installer: the end of init"; exit 1 ;;
    hang) echo "installer: hangs"; sleep 100000 ;;
  esac
done </ks
umount /target && sync && echo "installer: done"
poweroff -f
`;

/** Makes it in a directory that exists, of packages from this machine's own mirrors. */
export async function makeInstaller(directory: string): Promise<TinyInstaller> {
  const packages = join(directory, "packages");
  await mkdir(packages);
  const depends = await runProgram("apt-cache", ["depends", "linux-image-cloud-amd64"]);
  const image = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (image === undefined) throw new Error(`no kernel in:\n${depends}`);
  const fetch = `cd "$1" && apt-get -q -o APT::Sandbox::User=root download busybox-static "$2"`;
  await runProgram("sh", ["-c", fetch, "sh", packages, image]);
  const tree = join(directory, "tree");
  for (const name of await readdir(packages))
    await runProgram("dpkg-deb", ["-x", join(packages, name), tree]);
  const version = image.replace("linux-image-", "");
  const drivers = join(tree, "lib", "modules", version, "kernel");
  const initrd = join(directory, "initrd");
  const files = [
    directoryEntry("bin"),
    directoryEntry("modules"),
    directoryEntry("dev"),
    fileEntry("bin/busybox", await readFile(join(tree, "bin", "busybox")), 0o755),
    fileEntry("init", Buffer.from(INIT), 0o755),
  ];
  const modules = [...MODULES.map((name) => `drivers/${name}`), ...NET_MODULES];
  for (const [index, name] of modules.entries()) {
    const content = await readFile(join(drivers, `${name}.ko`));
    const base = name.split("/").at(-1);
    files.push(fileEntry(`modules/${String(index).padStart(2, "0")}-${base}.ko`, content, 0o644));
  }
  await writeFile(initrd, Buffer.concat([...files, entry("TRAILER!!!", 0, Buffer.alloc(0))]));
  return { kernel: join(tree, "boot", `vmlinuz-${version}`), initrd };
}

const directoryEntry = (name: string): Buffer => entry(name, 0o040755, Buffer.alloc(0));
const fileEntry = (name: string, content: Buffer, mode: number): Buffer =>
  entry(name, 0o100000 | mode, content);

/** A member of a cpio archive, "newc". Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. */
function entry(name: string, mode: number, content: Buffer): Buffer {
  // inode, mode, uid, gid, links, mtime, size, device (2), of which device (2), length of the name, check
  const numbers = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return Buffer.concat([padded(Buffer.from(head)), padded(content)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
