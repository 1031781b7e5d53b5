/** What the thread that has to do with a mounted tree and its master say to each other. */
import type { SelectedPath } from "./selected-roots.js";

export interface TreeWork {
  /** Name that the mounts go by. */
  vm: string;
  /** Files that show the disks, in the order of the disks. */
  disks: string[];
  /** Directory in which the tree is mounted, and one for scratch files. */
  mounts: string;
  scratch: string;
  paths: SelectedPath[];
  /** Number of the partition that the paths lie in; undefined: the guest's own tree, as its fstab says. */
  partition: number | undefined;
}

export type ToTree = { kind: "credit" } | { kind: "stop" } | { kind: "exit" };

export type FromTree =
  | { kind: "report"; line: string }
  | { kind: "message"; bytes: Uint8Array }
  /** Everything is unmounted again, or `left` says what is not. */
  | { kind: "ended"; error?: { code: string; text: string } };

/** Messages that are on their way to the master at most. */
export const TREE_CREDITS = 8;
