/**
 * The directories between the root of a walk and where it stands. At most MAX_OPEN of them are held open; one that
 * was let go is opened again through ".." of its child, or from the root downwards, and must still be the same.
 */
import { BackupError } from "../../common/errors.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import type { IncludeRules } from "./file-set.js";

export interface Frame {
  /** Undefined: nothing of the directory itself is saved, it only leads to roots below; or it was let go. */
  handle: DirectoryHandle | undefined;
  /** Name within the frame below it. */
  name: string;
  /** Sorted. Roots that lie below come to them as the walk meets them. */
  names: readonly string[];
  next: number;
  /** Length of the key prefix of its entries. */
  prefixLength: number;
  rules: IncludeRules | undefined;
  /** Its entries are saved, not only roots below. */
  saved: boolean;
  /** Starts a tree of its own: never let go, children are opened from here. */
  anchor: boolean;
  devMajor: number;
  devMinor: number;
  inode: number;
}

/** Opens the directory `name` and reads its names, sorted. @throws SysError, Node's error with a `code` */
export function openListed(
  parent: DirectoryHandle,
  name: string,
): { handle: DirectoryHandle; names: string[] } {
  const handle = DirectoryHandle.open(parent, name);
  try {
    return { handle, names: handle.names().sort() };
  } catch (error) {
    handle.close();
    throw error;
  }
}

/** A frame that leads to roots only. */
export function throughFrame(prefixLength: number, names: readonly string[] = []): Frame {
  return {
    handle: undefined,
    name: "",
    names,
    next: 0,
    prefixLength,
    rules: undefined,
    saved: false,
    anchor: false,
    devMajor: 0,
    devMinor: 0,
    inode: 0,
  };
}

const MAX_OPEN = 64;
const probe = newStat();

export class FrameStack {
  readonly #frames: Frame[] = [];
  #open = 0;
  /** No frame before this one could be let go. */
  #firstOpen = 0;

  get top(): Frame | undefined {
    return this.#frames.at(-1);
  }

  get depth(): number {
    return this.#frames.length;
  }

  /** Takes over the frame's handle. */
  push(frame: Frame): void {
    this.#frames.push(frame);
    if (frame.handle === undefined) return;
    this.#open++;
    if (this.#open > MAX_OPEN) this.#letGo();
  }

  /** Closes the top. The frame below may be without its handle then, see `reopenTop`. */
  pop(): void {
    const frame = this.#frames.pop();
    this.#firstOpen = Math.min(this.#firstOpen, Math.max(0, this.#frames.length - 1));
    const below = this.top;
    if (frame?.handle === undefined) return;
    if (below?.saved && below.handle === undefined && !frame.anchor)
      this.#adopt(below, this.#step(frame.handle, ".."));
    frame.handle.close();
    this.#open--;
  }

  /**
   * The top's handle, opened again if need be.
   * @throws BackupError DIRECTORY_MOVED when the directory is not there any more.
   */
  topHandle(): DirectoryHandle {
    const top = this.top!;
    if (top.handle === undefined) this.#walkDown();
    if (top.handle === undefined)
      throw new BackupError("DIRECTORY_MOVED", "the directory was moved or removed meanwhile");
    return top.handle;
  }

  closeAll(): void {
    for (const frame of this.#frames.splice(0)) frame.handle?.close();
    this.#open = 0;
  }

  #letGo(): void {
    // The deepest ones stay: they are needed next.
    const frames = this.#frames;
    let at = this.#firstOpen;
    while (at < frames.length - 1 && (frames[at]!.handle === undefined || frames[at]!.anchor)) at++;
    this.#firstOpen = at;
    if (at >= frames.length - 1) return;
    frames[at]!.handle!.close();
    frames[at]!.handle = undefined;
    this.#open--;
  }

  #step(from: DirectoryHandle, name: string): DirectoryHandle | undefined {
    try {
      return DirectoryHandle.open(from, name);
    } catch {
      return undefined;
    }
  }

  /** Keeps the handle if it is the frame's directory indeed. */
  #adopt(frame: Frame, handle: DirectoryHandle | undefined): boolean {
    if (handle === undefined) return false;
    try {
      handle.statSelf(probe);
    } catch {
      handle.close();
      return false;
    }
    if (
      probe.inode !== frame.inode ||
      probe.devMajor !== frame.devMajor ||
      probe.devMinor !== frame.devMinor
    ) {
      handle.close();
      return false;
    }
    frame.handle = handle;
    this.#open++;
    this.#firstOpen = Math.min(this.#firstOpen, this.#frames.length - 1);
    return true;
  }

  /** Opens the way from the nearest open frame to the top, keeping only the top's handle. */
  #walkDown(): void {
    let at = this.#frames.length - 1;
    while (at >= 0 && this.#frames[at]!.handle === undefined) at--;
    if (at < 0) return;
    let current = this.#frames[at]!.handle!.retain();
    for (at++; at < this.#frames.length; at++) {
      const next = this.#step(current, this.#frames[at]!.name);
      current.close();
      if (next === undefined) return;
      current = next;
    }
    this.#adopt(this.top!, current);
  }
}
