/**
 * Walks the roots of a FileSet depth first, in path order, without following symlinks, one event per `next()`.
 *
 * Synchronous: the caller decides when the event loop may turn. Memory holds the names of the directories on the
 * way from the root to the current entry, nothing else in proportion to the tree.
 */
import { codeOf, describeError } from "../../common/errors.js";
import { displayPath, keyToPath, MAX_KEY_BYTES } from "../../common/format/path.js";
import { EntryType } from "../../common/format/row.js";
import type { ImageEntry } from "../image/image-root.js";
import { type DirectoryHandle, newStat } from "../sys/stat.js";
import { holdsMark, mayEnter } from "./entering.js";
import { type WalkEntry, WalkEvent } from "./event.js";
import type { EntryOptions, IncludeRules, WalkRoot } from "./file-set.js";
import { type Frame, FrameStack, openListed, throughFrame } from "./frames.js";
import { MountTypes } from "./mounts.js";
import { RootVisits, type WalkerOptions } from "./root-visits.js";

/** What `visit` found worth descending into, done by the next `next()`. */
interface Descent {
  name: string;
  rules: IncludeRules;
  isRoot: boolean;
  isListed: boolean;
}

export class Walker {
  readonly entry: WalkEntry;
  /** Of the events that have no entry. */
  key = "";
  /** Of the event `emptyRoot`: the directory is from a list of files. */
  isListed = false;
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
  readonly #roots: RootVisits;
  #prefix = "";
  #descent: Descent | undefined;
  /** Handle that only the current entry needs (a root's parent directory). */
  #held: DirectoryHandle | undefined;
  #started = false;

  constructor(options: WalkerOptions) {
    this.#options = options;
    this.#roots = new RootVisits(options, this.#mounts);
    // Everything else is set before an entry is ever seen.
    const rest = {
      dir: undefined as unknown as DirectoryHandle,
      options: undefined as unknown as EntryOptions,
    };
    this.entry = { key: "", name: "", stat: this.#stat, image: undefined, ...rest };
  }

  /** Finds the disk images and looks at every root before anything is saved. @throws BackupError ROOT_UNUSABLE */
  checkRoots(): void {
    this.#roots.before();
  }

  /** After the walk: each root must still be the directory that it was. @throws BackupError ROOT_CHANGED */
  checkRootsAgain(): void {
    this.#roots.after();
  }

  /** Where the root with this key lies on the host, for messages. */
  rootPath(key: string): string {
    return this.#roots.pathOf(key);
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
      const name = this.#nextName(frame);
      if (name === undefined) {
        this.#leave();
        continue;
      }
      const event = this.#visitName(frame, name);
      if (event !== undefined) return event;
    }
  }

  close(): void {
    this.#held?.close();
    this.#held = undefined;
    this.#roots.close();
    this.#stack.closeAll();
  }

  /** True when the virtual "/" is not saved itself. */
  #start(): boolean {
    this.#started = true;
    this.key = "";
    const saved = this.#roots.cursor.head?.key === "";
    // A frame whose only name stands for the root itself, or one that leads to the roots.
    this.#stack.push(throughFrame(0, saved ? [""] : []));
    return !saved;
  }

  /** The next name of a directory: of those that it has, or one that leads to a root. */
  #nextName(frame: Frame): string | undefined {
    const listed = frame.names[frame.next];
    const ahead = this.#roots.cursor.component(this.#prefix);
    if (listed === undefined || (ahead !== undefined && ahead < listed)) return ahead;
    frame.next++;
    return listed;
  }

  #leave(): void {
    this.#stack.pop();
    this.#restorePrefix();
  }

  #visitName(frame: Frame, name: string): WalkEvent | undefined {
    const key = this.#prefix + name;
    const { cursor } = this.#roots;
    if (key.length > MAX_KEY_BYTES) {
      this.#notSaved(`Path too long, not saved: "${displayPath(keyToPath(key).slice(0, 200))}…"`);
      return undefined;
    }
    const root = cursor.head?.key === key ? cursor.head : undefined;
    if (root !== undefined) return this.#visitRoot(root);
    if (!frame.saved) return this.#goThrough(key, true);
    let dir: DirectoryHandle;
    try {
      dir = this.#stack.topHandle();
      dir.stat(name, this.#stat);
    } catch (error) {
      return this.#cannotLook(frame, key, error);
    }
    return this.#visit({ key, dir, name, root, rules: frame.rules!, frame, image: undefined });
  }

  #cannotLook(frame: Frame, key: string, error: unknown): WalkEvent | undefined {
    const leads = this.#roots.cursor.isBelow(key);
    // It is only the way to roots of another Root directory, or they tell themselves that they are missing.
    if (leads && codeOf(error) === "ENOENT") return this.#goThrough(key, true);
    if (leads) this.#goThrough(key, false);
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
      this.key = key.slice(0, Math.max(0, frame.prefixLength - 1));
      return WalkEvent.unreadBelow;
    }
    return WalkEvent.unread;
  }

  #visitRoot(root: WalkRoot): WalkEvent | undefined {
    this.#roots.cursor.advance();
    const opened = this.#roots.open(root);
    if ("missing" in opened) {
      if (this.#roots.cursor.isBelow(root.key)) this.#goThrough(root.key, false);
      this.key = root.key;
      return opened.missing === "unread" ? WalkEvent.unread : undefined;
    }
    const { parent, name, stat, image } = opened;
    this.#held = parent;
    Object.assign(this.#stat, stat);
    return this.#visit({ ...root, dir: parent, name, root, frame: undefined, image });
  }

  #visit(at: {
    key: string;
    dir: DirectoryHandle;
    name: string;
    root: WalkRoot | undefined;
    rules: IncludeRules;
    /** Directory that it was found in; undefined for a root. */
    frame: Frame | undefined;
    image: ImageEntry | undefined;
  }): WalkEvent | undefined {
    const { key, dir, name, root, rules, frame, image } = at;
    const stat = this.#stat;
    if (stat.type === "socket" || stat.type === "unknown") {
      if (stat.type === "socket") this.sockets++;
      else this.unknown++;
      this.#roots.refuseBelow(key);
      return undefined;
    }
    const isDirectory = stat.type === EntryType.directory;
    const leads = this.#roots.cursor.isBelow(key);
    const options = rules.select(key, isDirectory);
    const isLeftOut =
      options === undefined ||
      this.#isNoDump(key, options) ||
      (isDirectory && holdsMark(rules.excludeDirContaining, dir, name)) ||
      (root !== undefined && isDirectory && !this.#roots.isOnAllowedType(root, stat, options));
    if (isLeftOut) return leads ? this.#goThrough(key, true) : undefined;
    const { entry } = this;
    entry.key = key;
    entry.dir = dir;
    entry.name = name;
    entry.options = options;
    entry.image = image;
    if (!isDirectory) this.#roots.refuseBelow(key);
    else {
      const isRoot = frame === undefined;
      const enters = isRoot || this.#mayEnter(key, options, frame, leads);
      if (enters) this.#descent = { name, rules, isRoot, isListed: root?.isListed === true };
      else if (leads) this.#goThrough(key, false);
    }
    return WalkEvent.entry;
  }

  /** Pushes a frame that only leads to roots below; the event when the directory itself is not saved. */
  #goThrough(key: string, tell: boolean): WalkEvent | undefined {
    this.key = key;
    this.#prefix = key === "" ? "" : `${key}\0`;
    this.#stack.push(throughFrame(this.#prefix.length));
    return tell ? WalkEvent.through : undefined;
  }

  #isNoDump(key: string, options: EntryOptions): boolean {
    if (!options.honorNoDump || !this.#stat.noDump) return false;
    const shown = displayPath(keyToPath(key));
    this.#options.report("info", `     NODUMP flag set - will not process ${shown}`);
    return true;
  }

  #mayEnter(key: string, options: EntryOptions, parent: Frame, holdsRoots: boolean): boolean {
    const { report } = this.#options;
    const cameFrom = (): string => this.#roots.pathAbove(key);
    const stat = this.#stat;
    return mayEnter({ key, stat, options, parent, holdsRoots, mounts: this.#mounts, cameFrom, report });
  }

  /** Enters the directory that `entry` was. */
  #descend({ name, rules, isRoot, isListed }: Descent): WalkEvent | undefined {
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
      if (this.#roots.cursor.isBelow(key)) this.#stack.push(throughFrame(this.#prefix.length));
      else this.#restorePrefix();
      this.key = key;
      return WalkEvent.unreadBelow;
    }
    const empty = opened.names.length === 0;
    const prefixLength = this.#prefix.length;
    const identity = { devMajor, devMinor, inode };
    const { names } = opened;
    const place = { name, names, next: 0, prefixLength, rules, saved: true, anchor: isRoot };
    this.#stack.push({ handle: opened.handle, ...place, ...identity });
    if (!isRoot) return undefined;
    this.rootDirectories++;
    if (!empty) return undefined;
    this.emptyRoots++;
    this.key = key;
    this.isListed = isListed;
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
