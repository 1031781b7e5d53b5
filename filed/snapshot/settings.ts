/** What a Snapshot resource of filed.yaml says. Plain data. */
import { formatBytes } from "../../common/units.js";
import type { FreezeSettings } from "../freeze/settings.js";
import type { MountSettings } from "../mount/config.js";

/** Room for changes of the original: bytes, or a share of its size. */
export type Room = { readonly bytes: number } | { readonly percent: number };

export interface LvmSettings {
  readonly kind: "lvm";
  readonly volumeGroup: string;
  /** Volumes that are not thin are refused. */
  readonly thinOnly: boolean;
}

/** Image files below a directory. */
export interface FileSettings {
  readonly kind: "btrfs" | "xfs";
  /** Absolute. */
  readonly directory: string;
}

/** Programs from the hook directories, `%n` for the machine's name. */
export interface CommandSettings {
  readonly kind: "command";
  readonly create: readonly string[];
  readonly remove: readonly string[];
  readonly check?: readonly string[] | undefined;
  readonly timeoutSec: number;
}

export interface SnapshotSettings {
  readonly name: string;
  /** Machines that it is for, `*` for any characters. */
  readonly vms: readonly string[];
  /** What disks are called: `%n` the machine, `*` a number. */
  readonly pattern: string;
  readonly room: Room;
  readonly provider: LvmSettings | FileSettings | CommandSettings;
  readonly freeze: FreezeSettings;
  /** Undefined: nothing is mounted. */
  readonly mount: MountSettings | undefined;
}

export function roomBytes(room: Room, sizeBytes: number): number {
  return "bytes" in room ? room.bytes : Math.ceil((sizeBytes * room.percent) / 100);
}

/** `, room for changes: …`, or nothing where room is no matter of a snapshot's own. */
export function roomText({ room, provider }: SnapshotSettings): string {
  if (provider.kind !== "lvm") return "";
  return `, room for changes: ${"bytes" in room ? formatBytes(room.bytes) : `${room.percent}%`}`;
}
