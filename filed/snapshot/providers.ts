/** The provider that a Snapshot resource names. */
import { BtrfsProvider } from "./btrfs.js";
import { CommandProvider } from "./command.js";
import type { SnapshotContext } from "./context.js";
import { LvmProvider } from "./lvm.js";
import type { SnapshotSettings } from "./settings.js";
import type { Provider } from "./types.js";
import { XfsProvider } from "./xfs.js";

export function openProvider(settings: SnapshotSettings, context: SnapshotContext): Provider {
  const { provider } = settings;
  switch (provider.kind) {
    case "lvm":
      return new LvmProvider(settings, provider);
    case "btrfs":
      return new BtrfsProvider(settings, provider);
    case "xfs":
      return new XfsProvider(settings, provider);
    case "command":
      return new CommandProvider(settings, provider, context);
  }
}
