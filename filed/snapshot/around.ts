/** What is done around snapshots: the machine is held still while they are made, and their file systems are mounted. */
import type { SnapshotSettings } from "./settings.js";
import type { SnapshotSet } from "./types.js";

export interface Frozen<T> {
  value: T;
  /** The guest's file systems were certainly frozen all the time. */
  confirmed: boolean;
  how: "guest" | "paused" | "services" | "no";
}

interface Tools {
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export async function whileHeld<T>(
  _vm: string,
  _settings: SnapshotSettings,
  _tools: Tools,
  during: () => Promise<T>,
): Promise<Frozen<T>> {
  return { value: await during(), confirmed: false, how: "no" };
}

export async function mountSet(
  _set: SnapshotSet,
  _settings: SnapshotSettings,
  _tools: Tools & { confirmed: boolean },
): Promise<void> {}

/** Also when nothing is mounted. */
export async function unmountSet(_vm: string, _settings: SnapshotSettings, _tools: Tools): Promise<void> {}
