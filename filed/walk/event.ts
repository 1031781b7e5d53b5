/** What a walk tells, one event at a time. */
import type { ImageEntry } from "../image/image-root.js";
import type { DirectoryHandle, StatRecord } from "../sys/stat.js";
import type { EntryOptions } from "./file-set.js";

/** Reused for every entry: copy what is needed after the next `next()`. */
export interface WalkEntry {
  key: string;
  /** Open directory that holds it; retain it to use it later. */
  dir: DirectoryHandle;
  name: string;
  stat: StatRecord;
  options: EntryOptions;
  /** Set when it is to be read as a disk image. */
  image: ImageEntry | undefined;
}

export const WalkEvent = {
  /** `walker.entry` is to be saved. */
  entry: 1,
  /** `walker.key` is a directory that is not saved itself, but something below it is. */
  through: 2,
  /** Nothing below `walker.key` could be looked at. */
  unreadBelow: 3,
  /** Neither `walker.key` nor anything below it could be looked at. */
  unread: 4,
  /** `walker.key`, saved before, is a root directory without entries. */
  emptyRoot: 5,
  done: 6,
} as const;
export type WalkEvent = (typeof WalkEvent)[keyof typeof WalkEvent];
