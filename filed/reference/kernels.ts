/** The kernel that a tree brings, and what it needs to start. */
import { lstat, readdir } from "node:fs/promises";
import path from "node:path";
import { BackupError } from "../../common/errors.js";
import type { KernelSettings } from "./settings.js";

/**
 * The newest `vmlinuz-VERSION` in the tree's /boot that has an initrd beside it. Symbolic links count for nothing: they
 * may lead out of the tree.
 * @throws BackupError REFERENCE_KERNEL
 */
export async function newestKernel(tree: string): Promise<KernelSettings> {
  const boot = path.join(tree, "boot");
  const none = new BackupError(
    "REFERENCE_KERNEL",
    `${boot} holds no kernel with an initrd: install one, or give the BootCheck a Kernel and an Initrd`,
  );
  if (!(await lstat(boot).catch(() => undefined))?.isDirectory()) throw none;
  const files = (await readdir(boot, { withFileTypes: true })).filter((each) => each.isFile());
  const names = new Set(files.map(({ name }) => name));
  const versions = [...names]
    .filter((name) => name.startsWith("vmlinuz-"))
    .map((name) => name.slice("vmlinuz-".length))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const version of versions) {
    const initrd = [`initrd.img-${version}`, `initramfs-${version}.img`].find((name) => names.has(name));
    if (initrd !== undefined)
      return { kernel: path.join(boot, `vmlinuz-${version}`), initrd: path.join(boot, initrd) };
  }
  throw none;
}
