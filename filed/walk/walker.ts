/**
 * Walks the roots of a FileSet depth first, in path order, without following symlinks, one event per `next()`.
 *
 * Synchronous: the caller decides when the event loop may turn. Memory holds the names of the directories on the
 * way from the root to the current entry, nothing else in proportion to the tree.
 */
import { codeOf, describeError } from "../../common/errors.js";
import { displayPath, isWithin, keyToPath, MAX_KEY_BYTES } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import type { JobMessage } from "../../proto/data/backup.js";
import { rootsOf } from "../image/find-images.js";
import type { ImageEntry } from "../image/image-root.js";
import { type DirectoryHandle, newStat, type StatRecord } from "../sys/stat.js";
import { holdsMark, mayEnter } from "./entering.js";
import type { CompiledFileSet, EntryOptions, IncludeRules, WalkRoot } from "./file-set.js";
import { components, type Frame, FrameStack, openListed, throughFrame } from "./frames.js";
import { MountTypes } from "./mounts.js";
import { RootCheck } from "./root-check.js";
import { checkNothingBelow, hostPath, openRoot } from "./roots.js";

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

export interface WalkerOptions {
  fileSet: CompiledFileSet;
  /** Host paths that may be walked; undefined: all. */
  allowedRoots?: readonly string[] | undefined;
  report: (type: JobMessage["type"], text: string) => void;
}

/** What `visit` found worth descending into, done by the next `next()`. */
interface Descent {
  name: string;
  roots: readonly WalkRoot[];
  rules: IncludeRules;
  isRoot: boolean;
}

export class Walker {
  readonly entry: WalkEntry;
  /** Of the events that have no entry. */
  key = "";
  /** Entries that are never saved, noted in the job's report. */
  sockets = 0;
  unknown = 0;
  /** Root directories that were read, and how many of them held nothing. */
  rootDirectories = 0;
  emptyRoots = 0;

  readonly #options: WalkerOptions;
  readonly #stack = new FrameStack();
  readonly #mounts = new MountTypes();
  readonly #stat = newStat();
  #roots: readonly WalkRoot[];
  #check: RootCheck | undefined;
  #prefix = "";
  #descent: Descent | undefined;
  /** Handle that only the current entry needs (a root's parent directory). */
  #held: DirectoryHandle | undefined;
  #started = false;

  constructor(options: WalkerOptions) {
    this.#options = options;
    this.#roots = options.fileSet.roots;
    // Everything else is set before an entry is ever seen.
    const rest = {
      dir: undefined as unknown as DirectoryHandle,
      options: undefined as unknown as EntryOptions,
    };
    this.entry = { key: "", name: "", stat: this.#stat, image: undefined, ...rest };
  }

  /** Finds the disk images and looks at every root before anything is saved. @throws BackupError ROOT_UNUSABLE */
  checkRoots(): void {
    this.#roots = rootsOf(this.#options);
    this.#check = new RootCheck(this.#roots, this.#options.allowedRoots, this.#mounts);
    this.#check.before();
  }

  /** After the walk: each root must still be the directory that it was. @throws BackupError ROOT_CHANGED */
  checkRootsAgain(): void {
    this.#check?.after();
  }

  /** Where the root with this key lies on the host, for messages. */
  rootPath(key: string): string {
    const root = this.#roots.find((one) => one.key === key);
    return displayPath(root === undefined ? keyToPath(key) : hostPath(root));
  }

  /** The next event. @throws BackupError ROOT_UNUSABLE when a root went away meanwhile. */
  next(): WalkEvent {
    if (!this.#started && this.#start()) return WalkEvent.through;
    for (;;) {
      const descent = this.#descent;
      this.#descent = undefined;
      const opened = descent === undefined ? undefined : this.#descend(descent);
      this.#held?.close();
      this.#held = undefined;
      if (opened !== undefined) return opened;
      const frame = this.#stack.top;
      if (frame === undefined) return WalkEvent.done;
      if (frame.next >= frame.names.length) {
        this.#leave();
        continue;
      }
      const event = this.#visitName(frame, frame.names[frame.next++]!);
      if (event !== undefined) return event;
    }
  }

  close(): void {
    this.#held?.close();
    this.#held = undefined;
    this.#stack.closeAll();
  }

  /** True when the virtual "/" is not saved itself. */
  #start(): boolean {
    this.#started = true;
    this.key = "";
    const saved = this.#roots[0]?.key === "";
    // A frame whose only name stands for the root itself, or one that leads to the roots.
    this.#pushThrough(this.#roots, saved ? [""] : undefined);
    return !saved;
  }

  /** A frame that leads to roots only. */
  #pushThrough(roots: readonly WalkRoot[], names?: readonly string[]): void {
    this.#stack.push(throughFrame(roots, this.#prefix.length, names));
  }

  #leave(): void {
    this.#stack.pop();
    this.#restorePrefix();
  }

  #visitName(frame: Frame, name: string): WalkEvent | undefined {
    const key = this.#prefix + name;
    if (key.length > MAX_KEY_BYTES) {
      this.#notSaved(`Path too long, not saved: "${displayPath(keyToPath(key).slice(0, 200))}…"`);
      return undefined;
    }
    const roots =
      frame.roots.length === 0 ? frame.roots : frame.roots.filter((root) => isWithin(key, root.key));
    const root = roots[0]?.key === key ? roots[0] : undefined;
    if (root !== undefined) return this.#visitRoot(root, roots.slice(1));
    if (!frame.saved) return this.#goThrough(key, roots, true);
    let dir: DirectoryHandle;
    try {
      dir = this.#stack.topHandle();
      dir.stat(name, this.#stat);
    } catch (error) {
      return this.#cannotLook(frame, key, error);
    }
    return this.#visit({ key, dir, name, roots, rules: frame.rules!, frame, image: undefined });
  }

  #cannotLook(frame: Frame, key: string, error: unknown): WalkEvent | undefined {
    this.key = key;
    const shown = displayPath(keyToPath(key));
    if (codeOf(error) === "ENOENT") {
      this.#options.report("warning", `"${shown}" vanished before it could be saved`);
      return undefined;
    }
    this.#notSaved(`Could not stat "${shown}": ERR=${describeError(error)}`);
    if (codeOf(error) === "DIRECTORY_MOVED") {
      // All further names of this directory fail alike: one event for each keeps them, one message is enough.
      frame.saved = false;
      frame.next = frame.names.length;
      this.key = this.#prefix.slice(0, -1);
      return WalkEvent.unreadBelow;
    }
    return WalkEvent.unread;
  }

  #visitRoot(root: WalkRoot, below: readonly WalkRoot[]): WalkEvent | undefined {
    const { parent, name, stat, image } = openRoot(root);
    this.#held = parent;
    Object.assign(this.#stat, stat);
    return this.#visit({ ...root, dir: parent, name, roots: below, frame: undefined, image });
  }

  #visit(at: {
    key: string;
    dir: DirectoryHandle;
    name: string;
    roots: readonly WalkRoot[];
    rules: IncludeRules;
    /** Directory that it was found in; undefined for a root. */
    frame: Frame | undefined;
    image: ImageEntry | undefined;
  }): WalkEvent | undefined {
    const { key, dir, name, roots, rules, frame, image } = at;
    const stat = this.#stat;
    if (stat.type === "socket" || stat.type === "unknown") {
      if (stat.type === "socket") this.sockets++;
      else this.unknown++;
      return undefined;
    }
    const isDirectory = stat.type === EntryType.directory;
    const options = rules.select(key, isDirectory);
    if (options === undefined || (isDirectory && holdsMark(rules.excludeDirContaining, dir, name))) {
      return roots.length > 0 ? this.#goThrough(key, roots, true) : undefined;
    }
    const { entry } = this;
    entry.key = key;
    entry.dir = dir;
    entry.name = name;
    entry.options = options;
    entry.image = image;
    if (!isDirectory) checkNothingBelow(key, roots);
    else {
      const isRoot = frame === undefined;
      const enters = isRoot || this.#mayEnter(key, options, frame, roots.length > 0);
      if (enters) this.#descent = { name, roots, rules, isRoot };
      else if (roots.length > 0) this.#goThrough(key, roots, false);
    }
    return WalkEvent.entry;
  }

  /** Pushes a frame that only leads to `roots`; the event when the directory itself is not saved. */
  #goThrough(key: string, roots: readonly WalkRoot[], tell: boolean): WalkEvent | undefined {
    this.key = key;
    this.#prefix = key === "" ? "" : `${key}\0`;
    this.#pushThrough(roots);
    return tell ? WalkEvent.through : undefined;
  }

  #mayEnter(key: string, options: EntryOptions, parent: Frame, holdsRoots: boolean): boolean {
    const { report } = this.#options;
    return mayEnter({ key, stat: this.#stat, options, parent, holdsRoots, mounts: this.#mounts, report });
  }

  /** Enters the directory that `entry` was. */
  #descend({ name, roots, rules, isRoot }: Descent): WalkEvent | undefined {
    const { entry } = this;
    const { key } = entry;
    const { devMajor, devMinor, inode } = this.#stat;
    this.#prefix = key === "" ? "" : `${key}\0`;
    let opened: { handle: DirectoryHandle; names: string[] };
    try {
      opened = openListed(entry.dir, name);
    } catch (error) {
      const shown = displayPath(keyToPath(key));
      this.#notSaved(`Could not open directory "${shown}": ERR=${describeError(error)}`);
      if (roots.length > 0) this.#pushThrough(roots);
      else this.#restorePrefix();
      this.key = key;
      return WalkEvent.unreadBelow;
    }
    const empty = opened.names.length === 0;
    const prefixLength = this.#prefix.length;
    const towards = components(roots, prefixLength);
    const names = roots.length === 0 ? opened.names : [...new Set([...opened.names, ...towards])].sort();
    const identity = { devMajor, devMinor, inode };
    const place = { name, names, next: 0, prefixLength, roots, rules, saved: true, anchor: isRoot };
    this.#stack.push({ handle: opened.handle, ...place, ...identity });
    if (!isRoot) return undefined;
    this.rootDirectories++;
    if (!empty) return undefined;
    this.emptyRoots++;
    this.key = key;
    return WalkEvent.emptyRoot;
  }

  #restorePrefix(): void {
    const top = this.#stack.top;
    this.#prefix = top === undefined ? "" : this.#prefix.slice(0, top.prefixLength);
  }

  #notSaved(text: string): void {
    this.#options.report("notsaved", text);
  }
}
