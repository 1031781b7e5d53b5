/** The provider that a Snapshot resource names. */
import type { SnapshotContext } from "./context.js";
import { LvmProvider } from "./lvm.js";
import type { SnapshotSettings } from "./settings.js";
import type { Provider } from "./types.js";

export function openProvider(settings: SnapshotSettings, _context: SnapshotContext): Provider {
  const { provider } = settings;
  if (provider.kind !== "lvm") throw new Error(provider.kind);
  return new LvmProvider(settings, provider);
}
