/**
 * How the restored guest starts. Nothing of the guest is run on the hypervisor: the boot loader is put onto the disk by the
 * guest itself, after it was started once from its own kernel (QEMU's -kernel and -initrd).
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
} from "node:fs";
import { join } from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import type { RestorePlan } from "./plan.js";

interface BootFiles {
  readonly kernel: string;
  readonly initrd: string | undefined;
}

/** Names of the newest kernel in /boot and of its initial file system, as Debian and Red Hat call them. */
function bootFilesOf(root: string): BootFiles | undefined {
  const names = plainFiles(join(root, "boot"));
  const byVersion = new Intl.Collator("en", { numeric: true }).compare;
  const kernels = names.filter((name) => /^vmlinu[xz]-/.test(name) && !/rescue/.test(name)).sort(byVersion);
  const kernel = kernels.at(-1);
  if (kernel === undefined) return undefined;
  const version = kernel.replace(/^vmlinu[xz]-/, "");
  const known = [
    `initrd.img-${version}`,
    `initramfs-${version}.img`,
    `initrd-${version}.img`,
    `initrd-${version}`,
  ];
  return { kernel, initrd: known.find((name) => names.includes(name)) };
}

/** Regular files of a directory; none where it is a link or missing. */
function plainFiles(directory: string): string[] {
  try {
    if (!lstatSync(directory).isDirectory()) return [];
    return readdirSync(directory, { withFileTypes: true }).flatMap((each) =>
      each.isFile() ? [each.name] : [],
    );
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Whether a directory of the guest is there itself, and no link. */
function hasDirectory(root: string, name: string): boolean {
  return lstatSync(join(root, "boot"), { throwIfNoEntry: false })?.isDirectory() === true
    ? lstatSync(join(root, "boot", name), { throwIfNoEntry: false })?.isDirectory() === true
    : false;
}

/** By what the kernel finds the root file system. */
function rootArgument(plan: RestorePlan): string {
  const parts = plan.disks.flatMap((disk) => disk.partitions);
  const root = parts.find(({ mount }) => mount === "/");
  if (root?.uuid !== undefined) return `UUID=${root.uuid}`;
  if (root?.partUuid !== undefined) return `PARTUUID=${root.partUuid}`;
  if (root?.label !== undefined) return `LABEL=${root.label}`;
  return "the device of the root file system, such as /dev/vda1";
}

/** What is left to be done until the guest boots by itself, step by step. */
export function bootNotes(plan: RestorePlan, root: string): string[] {
  const found = bootFilesOf(root);
  if (found === undefined)
    return [
      "there is no kernel in the guest's /boot: start it with a kernel from elsewhere (qemu -kernel, -initrd)",
    ];
  const initrd = found.initrd === undefined ? "" : ` -initrd ${shown(found.initrd)}`;
  const lines = [
    "no boot loader was put onto the disks. The guest starts without one, by its own kernel (--boot-files DIR copies it):",
    `  -kernel ${shown(found.kernel)}${initrd} -append "root=${rootArgument(plan)} ro console=ttyS0"`,
  ];
  const first = plan.disks[0]!;
  const hasEfi = plan.disks.some(({ partitions }) =>
    partitions.some(({ mount }) => /\/efi$/.test(mount ?? "")),
  );
  if (hasEfi) {
    return [
      ...lines,
      "a guest with UEFI has its loader on its EFI partition, which is restored; where the firmware has lost its entry:",
      "  in the guest: grub-install --target=x86_64-efi --removable && update-grub    (Red Hat: as grub2-install)",
    ];
  }
  const isRedHat = hasDirectory(root, "grub2");
  if (!isRedHat && !hasDirectory(root, "grub")) return [...lines, "the guest has no GRUB in /boot"];
  const needsBios = first.table === "gpt" && !first.partitions.some(({ type }) => isBiosBoot(type));
  return [
    ...lines,
    "then, in the guest, to have it boot by itself again:",
    isRedHat
      ? "  grub2-install /dev/vda && grub2-mkconfig -o /boot/grub2/grub.cfg"
      : "  grub-install /dev/vda && update-grub",
    ...(needsBios
      ? ["  (its first disk has a GPT without a BIOS boot partition: that needs one of 1 MiB)"]
      : []),
  ];
}

const isBiosBoot = (type: string | undefined): boolean =>
  type?.toLowerCase() === "21686148-6449-6e6f-744e-656564454649";

function shown(name: string): string {
  return displayPath(Buffer.from(name).toString("latin1"));
}

/** Copies `kernel` and `initrd` out of the guest. @throws BackupError RESTORE_VM */
export async function copyBootFiles(root: string, to: string, report: (line: string) => void): Promise<void> {
  const found = bootFilesOf(root);
  if (found === undefined)
    throw new BackupError("RESTORE_VM", "there is no kernel in the guest's /boot to copy");
  try {
    mkdirSync(to, { recursive: true, mode: 0o700 });
    for (const [name, file] of [
      ["kernel", found.kernel],
      ["initrd", found.initrd],
    ] as const) {
      if (file === undefined) continue;
      copyPlain(join(root, "boot", file), join(to, name));
      report(`copied ${shown(file)} to ${join(to, name)}`);
    }
  } catch (cause) {
    throw new BackupError("RESTORE_VM", `cannot copy the guest's kernel to ${to}: ${describeError(cause)}`, {
      cause,
    });
  }
}

/** The guest's files do not change here any more: what was no link a moment ago is none. */
function copyPlain(from: string, to: string): void {
  const fd = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new Error(`${from} is no file`);
    copyFileSync(`/proc/self/fd/${fd}`, to);
  } finally {
    closeSync(fd);
  }
}
