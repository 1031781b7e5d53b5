/** A Debian of its own on a disk's file, and whether a disk boots to its login, under emulation without KVM. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { aptSource } from "../../helpers/raw-trees.js";
import { runProgram } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
const BOOT_MS = 30 * 60_000;
/** What the guest's initial file system must hold to find its root: unpacking it takes emulated time. */
const INITRAMFS = "MODULES=list\nCOMPRESS=zstd\n";
/** An emulated machine on a busy host takes minutes for what its own time limits give seconds. */
const PATIENCE = "[Manager]\nDefaultTimeoutStartSec=20min\nDefaultDeviceTimeoutSec=20min\n";
const MODULES = "virtio_pci\nvirtio_blk\next4\n";

export const ROOT_UUID = "0f3b6a52-1111-4000-8000-0123456789ab";
export const SWAP_UUID = "5d1c1b60-2222-4000-8000-0123456789ab";

/** Kernel and initial file system of a guest, to be started directly. */
export interface BootFiles {
  kernel: string;
  initrd: string;
}

/** A Debian with systemd, udev and a kernel in the directory `tree`. */
export async function makeDebian(tree: string): Promise<void> {
  const source = aptSource();
  if (source === undefined) throw new Error("this test makes a Debian, and so needs one");
  const hook = (command: string): string => `--customize-hook=${command}`;
  const write = (file: string, text: string): string =>
    hook(`mkdir -p "$(dirname "$1/${file}")" && printf '${text.replaceAll("\n", "\\n")}' > "$1/${file}"`);
  const fstab = `UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1\nUUID=${SWAP_UUID} none swap sw 0 0\n`;
  const setup = (file: string, text: string): string =>
    write(file, text).replace("--customize-hook=", "--essential-hook=");
  await runProgram("mmdebstrap", [
    ...["--quiet", "--variant=minbase", "--mode=root", '--aptopt=APT::Install-Recommends "false"'],
    "--include=systemd-sysv,udev,dbus,kmod,zstd,initramfs-tools,linux-image-cloud-amd64",
    setup("etc/initramfs-tools/conf.d/basalt", INITRAMFS),
    setup("etc/initramfs-tools/modules", MODULES),
    write("etc/hostname", "web1\n"),
    write("etc/fstab", fstab),
    write("etc/systemd/system.conf.d/patience.conf", PATIENCE),
    hook('ln -s /dev/null "$1"/etc/systemd/system/e2scrub_reap.service'),
    hook('rm -f "$1"/etc/machine-id && touch "$1"/etc/machine-id'),
    ...[source.suite, tree, source.mirror],
  ]);
}

/** Kernel and initial file system in the /boot of a tree. */
export function bootFilesOf(tree: string): BootFiles {
  const names = readdirSync(join(tree, "boot"));
  const find = (start: string): string => join(tree, "boot", names.find((name) => name.startsWith(start))!);
  return { kernel: find("vmlinuz-"), initrd: find("initrd.img-") };
}

/** A disk of 1 GiB with a GPT: swap, and the tree as the root file system, in the file `disk`. */
export async function makeDisk(tree: string, disk: string): Promise<void> {
  writeFileSync(disk, "");
  truncateSync(disk, 1024 * MIB);
  const sizes = { swap: 64 * MIB, root: 958 * MIB };
  await runProgram("sh", [
    "-c",
    `printf 'label: gpt\\nsize=${sizes.swap / 512}, type=S\\nsize=${sizes.root / 512}, type=L\\n' | sfdisk --quiet "$1"`,
    ...["sh", disk],
  ]);
  const swap = [
    "losetup",
    "--find",
    "--show",
    "--offset",
    String(MIB),
    "--sizelimit",
    String(sizes.swap),
    disk,
  ];
  const loop = (await runProgram(swap[0]!, swap.slice(1))).trim();
  try {
    await runProgram("mkswap", ["--quiet", "--uuid", SWAP_UUID, loop]);
  } finally {
    await runProgram("losetup", ["--detach", loop]);
  }
  const root = ["-q", "-F", "-U", ROOT_UUID, "-L", "root", "-E", `offset=${MIB + sizes.swap},nodiscard`];
  await runProgram("mkfs.ext4", [...root, "-d", tree, disk, `${sizes.root / 1024}k`]);
}

/**
 * Starts the disk, on which nothing is changed, and ends the machine as soon as it asks for a login; what its serial console
 * said. Rejects when it does not come to that.
 */
export async function bootToLogin(
  disk: string,
  { kernel, initrd }: BootFiles,
  append: string,
): Promise<string> {
  const scratch = `${disk}.boot`;
  mkdirSync(scratch, { recursive: true });
  // A terminal that nobody types on would be no carrier to the guest's getty, which waits for one; a file is one.
  const serial = join(scratch, "serial");
  const child = spawn(
    "qemu-system-x86_64",
    [
      ...["-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35", "-m", "768", "-smp", "1", "-nodefaults"],
      ...[
        "-display",
        "none",
        "-serial",
        `file:${serial}`,
        "-no-reboot",
        "-kernel",
        kernel,
        "-initrd",
        initrd,
      ],
      ...["-append", append, "-drive", `file=${disk},format=raw,if=virtio,snapshot=on`],
    ],
    { stdio: ["ignore", "inherit", "inherit"], env: { PATH: process.env.PATH, TMPDIR: scratch } },
  );
  const said = (): string => (existsSync(serial) ? readFileSync(serial, "latin1") : "");
  let end: string | undefined;
  child.once("close", (code, signal) => {
    end ??= `the machine ended (${code ?? signal})`;
  });
  child.once("error", (error) => {
    end ??= error.message;
  });
  const timer = setTimeout(() => {
    end ??= `no login within ${BOOT_MS / 60_000} minutes`;
  }, BOOT_MS);
  try {
    while (!/\bweb1 login: /.test(said())) {
      if (end !== undefined) throw new Error(`${end}:\n${said().slice(-5000)}`);
      await sleep(1000);
    }
    return said();
  } finally {
    clearTimeout(timer);
    const closed = child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined;
    child.kill("SIGKILL");
    await closed;
  }
}
