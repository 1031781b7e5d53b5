/**
 * Worker side: opens a disk image and plans its windows, which any thread may then read. The descriptor belongs to
 * the main thread as soon as it was told.
 */
import { constants, readSync } from "node:fs";
import { codeOf, describeError } from "../../common/errors.js";
import { EntryType } from "../../common/format/row.js";
import { Advice, advise, closeFd, endOf, readThroughCache } from "../../common/sys/files.js";
import { O_NOFOLLOW } from "../../common/sys/native.js";
import { WINDOW_BYTES } from "../pack/protocol.js";
import { differs, failureText, isVanished, NotAFile } from "../pack/read-small.js";
import type { WorkerTask } from "../pack/task.js";
import { newStat, O_NONBLOCK, openQuietly, type StatRecord, statFd } from "../sys/stat.js";
import { alignedMemory, DIRECT_BYTES } from "./aligned.js";
import { dataExtents, withoutFree } from "./extents.js";
import { FreeBlocks } from "./free-blocks.js";
import { ImagePlanner } from "./plan.js";

/** Windows planned at a time: a fraction of a second of reading. */
const WINDOWS_PER_PLAN = 16;

export interface ImagePlan {
  /** After `vanished` and `failed` nothing more can be planned. */
  state: "ok" | "vanished" | "failed";
  /** With the first plan: the open descriptor, which the receiver closes. */
  opened?: {
    fd: number;
    direct: boolean;
    size: number;
    /** It is another file than the walk saw, or has other content. */
    differs: boolean;
    /** As it was before anything was asked about its content. */
    before: StatRecord;
  };
  windows: Uint8Array[];
  /** Nothing is left to be planned. */
  done: boolean;
  /** For the job's report. */
  notes: string[];
  /** For maps of free space. */
  bytesRead: number;
  error?: string;
}

const probe = alignedMemory(DIRECT_BYTES);

export class ImageSource {
  readonly #task: WorkerTask;
  readonly #windowBytes: number;
  #planner: ImagePlanner | undefined;
  #free: FreeBlocks | undefined;
  /** As of the last plan. */
  #bytesTold = 0;

  /** `windowBytes`: how much is to be read at once, at most WINDOW_BYTES. */
  constructor(task: WorkerTask, windowBytes: number) {
    const { blockSize } = task.image!;
    this.#task = task;
    const bytes = Math.min(windowBytes, WINDOW_BYTES);
    this.#windowBytes = Math.max(blockSize, bytes - (bytes % blockSize));
  }

  /** The next windows, opening the image first. Never throws. */
  plan(): ImagePlan {
    let opened: ImagePlan["opened"];
    const notes: string[] = [];
    try {
      if (this.#planner === undefined) {
        opened = this.#open();
        this.#planner = this.#newPlanner(opened, notes);
      }
      const planner = this.#planner;
      const windows: Uint8Array[] = [];
      while (windows.length < WINDOWS_PER_PLAN && !planner.done) windows.push(planner.next());
      const first = opened === undefined ? {} : { opened };
      return { state: "ok", ...first, windows, done: planner.done, notes, bytesRead: this.#bytesRead() };
    } catch (error) {
      if (opened !== undefined) closeFd(opened.fd);
      const state = opened === undefined && this.#planner === undefined && isVanished(error);
      const none = { windows: [], done: true, notes, bytesRead: this.#bytesRead() };
      return { state: state ? "vanished" : "failed", ...none, error: this.#failureText(error) };
    }
  }

  /** Since the last plan. */
  #bytesRead(): number {
    const told = this.#bytesTold;
    this.#bytesTold = this.#free?.bytesRead ?? 0;
    return this.#bytesTold - told;
  }

  #failureText(error: unknown): string {
    if (!this.#task.image!.isDevice) return failureText(error);
    return codeOf(error) === "ELOOP" ? new NotAFile("block device").message : describeError(error);
  }

  #open(): NonNullable<ImagePlan["opened"]> {
    const { fd, direct } = openDirect(this.#task);
    try {
      const stat = newStat();
      statFd(fd, stat);
      const { isDevice } = this.#task.image!;
      const expected = isDevice ? EntryType.blockDevice : EntryType.file;
      if (stat.type !== expected) throw new NotAFile(isDevice ? "block device" : undefined);
      const size = isDevice ? endOf(fd) : stat.size;
      const { identity } = this.#task;
      const isOther = isDevice ? size !== identity.size : differs(identity, stat);
      return { fd, direct: direct && takesDirect(fd), size, differs: isOther, before: stat };
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  #newPlanner(opened: NonNullable<ImagePlan["opened"]>, notes: string[]): ImagePlanner {
    const { blockSize, isDevice, skipFree } = this.#task.image!;
    const { fd, size } = opened;
    const hasHoles = !isDevice && this.#task.sparse;
    const extents = dataExtents({ fd, size, blockSize, hasHoles });
    let runs = extents;
    if (skipFree) {
      this.#free = new FreeBlocks(opened);
      notes.push(...this.#free.notes);
      runs = withoutFree(extents, this.#free.ranges(blockSize));
    }
    return new ImagePlanner({ size, runs, windowBytes: this.#windowBytes });
  }
}

function openDirect(task: WorkerTask): { fd: number; direct: boolean } {
  const flags = O_NOFOLLOW | O_NONBLOCK;
  try {
    return { fd: openQuietly(task.dirFd, task.name, flags | constants.O_DIRECT), direct: true };
  } catch (error) {
    // Some file systems know no direct reads: tmpfs before Linux 6.6, many network file systems.
    if (codeOf(error) !== "EINVAL") throw error;
    const fd = openQuietly(task.dirFd, task.name, flags);
    advise(fd, 0, 0, Advice.sequential);
    return { fd, direct: false };
  }
}

/** Where direct reads do not work although they were agreed to, reads go through the cache from now on. */
function takesDirect(fd: number): boolean {
  try {
    readSync(fd, probe, 0, DIRECT_BYTES, 0);
    return true;
  } catch (error) {
    if (codeOf(error) !== "EINVAL") throw error;
    readThroughCache(fd);
    advise(fd, 0, 0, Advice.sequential);
    return false;
  }
}
