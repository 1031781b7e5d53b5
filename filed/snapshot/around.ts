/** What is done around snapshots: the file systems on them are mounted, and unmounted before they go. */
import { mountVm } from "../mount/mount-vm.js";
import { unmountVm } from "../mount/unmount-vm.js";
import type { SnapshotSettings } from "./settings.js";
import type { SnapshotSet } from "./types.js";

interface Tools {
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Where the resource says how. @throws BackupError of mountVm */
export async function mountSet(
  { owner, disks }: SnapshotSet,
  { mount }: SnapshotSettings,
  { confirmed, report, signal }: Tools & { readonly confirmed: boolean },
): Promise<void> {
  if (mount === undefined) return;
  const found = disks.map(({ number, device, writable }) => ({ number, device, writable }));
  await mountVm(owner.vm, found, mount, { confirmedFreeze: confirmed, report, signal });
}

/** Also what a dead process has mounted; nothing mounted is no error. */
export async function unmountSet(vm: string, { mount }: SnapshotSettings, { report }: Tools): Promise<void> {
  if (mount !== undefined) await unmountVm(vm, mount, { report });
}
