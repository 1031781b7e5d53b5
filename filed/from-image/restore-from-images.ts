/**
 * Files out of disk images that lie at a storage daemon: the images are presented as files, mounted, and walked, and what was
 * asked for goes to the restore as if the storage daemon had sent it. Only what is looked at is read from there.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, describeError } from "../../common/errors.js";
import { displayPath, pathToKey } from "../../common/format/path.js";
import { formatBytes } from "../../common/units.js";
import type { JobMessage } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import { FuseDisk } from "./fuse-disk.js";
import { ImageReader } from "./image-reader.js";
import { Overlay } from "./overlay.js";
import { clearRoom, makeRoom, type Room, TREE } from "./room.js";
import { TreeThread } from "./tree-thread.js";

export interface FromImages {
  /** The request was sent. */
  stream: DataStream;
  workingDirectory: string;
  jobId: number;
  /** Absolute, latin1 carriers. */
  paths: readonly { path: string; recursive: boolean }[];
  /** 0: the machine's own tree. */
  partition: number;
  report: (type: JobMessage["type"], text: string) => void;
  signal: AbortSignal;
}

/** How long mounts may take to be released before nbdfuse is ended, and after that. */
const RELEASE_MS = 60_000;
const RELEASE_AFTER_KILL_MS = 30_000;

/**
 * Calls `restore` with the messages and a signal that ends it. Whatever happens, everything is released in the end.
 * @throws BackupError FUSE_FAILED, MOUNT_FAILED, NOT_FOUND; what `restore` and the stream throw; the signal's reason
 */
export async function restoreFromImages<T>(
  options: FromImages,
  restore: (stream: Pick<DataStream, "incoming">, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { stream, signal } = options;
  const reader = new ImageReader({ stream });
  const abort = new AbortController();
  const onAbort = (): void => {
    abort.abort(signal.reason);
    reader.close(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  reader.failed.catch((error) => abort.abort(error));
  try {
    const result = await new Images(options, reader, abort.signal).run(restore);
    reader.finish();
    return result;
  } catch (error) {
    // What the failure of the stream has led to explains nothing.
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

class Images {
  readonly #options: FromImages;
  readonly #reader: ImageReader;
  readonly #signal: AbortSignal;
  readonly #disks: FuseDisk[] = [];
  readonly #overlays: Overlay[] = [];
  #room: Room | undefined;
  #thread: TreeThread | undefined;

  constructor(options: FromImages, reader: ImageReader, signal: AbortSignal) {
    this.#options = options;
    this.#reader = reader;
    this.#signal = signal;
  }

  async run<T>(
    restore: (stream: Pick<DataStream, "incoming">, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      await this.#reader.open();
      this.#room = await makeRoom(this.#options.workingDirectory, this.#options.jobId);
      await this.#present();
      const thread = this.#start();
      const result = await restore({ incoming: thread.incoming }, this.#signal);
      await thread.ended;
      this.#tellRead();
      return result;
    } catch (error) {
      this.#reader.close(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      await this.#release();
    }
  }

  /** Every image becomes a file, in the order of the disks. */
  async #present(): Promise<void> {
    const images = this.#reader.images.map((image, number) => ({ ...image, number }));
    // `disk10` comes after `disk2`.
    images.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }) || a.number - b.number);
    for (const [i, { path, size, number }] of images.entries()) {
      const disk = new FuseDisk(join(this.#room!.directory, `disk${i}`));
      this.#disks.push(disk);
      const read = (offset: number, length: number) => this.#reader.read(number, offset, length);
      const overlay = await Overlay.open({ sizeBytes: size, read }, join(this.#room!.scratch, `overlay${i}`));
      this.#overlays.push(overlay);
      await disk.open(overlay, this.#signal);
      this.#options.report("info", `disk ${i} is ${displayPath(path)}, ${formatBytes(size)}`);
    }
  }

  #start(): TreeThread {
    const { paths, partition, report } = this.#options;
    const { mounts, scratch } = this.#room!;
    const work = {
      ...{ vm: TREE, disks: this.#disks.map(({ file }) => file), mounts, scratch },
      paths: paths.map(({ path, recursive }) => ({ key: pathToKey(path), recursive })),
      partition: partition === 0 ? undefined : partition,
    };
    this.#thread = new TreeThread(work, (line) => report(...asMessage(line)));
    return this.#thread;
  }

  #tellRead(): void {
    const total = this.#reader.images.reduce((sum, { size }) => sum + size, 0);
    const text = `${formatBytes(this.#reader.fetchedBytes)} of ${formatBytes(total)} of disk images were read from storage`;
    this.#options.report("info", text);
  }

  async #release(): Promise<void> {
    const thread = this.#thread;
    if (thread !== undefined) {
      thread.stop();
      if (!(await within(thread.ended, RELEASE_MS))) {
        for (const disk of this.#disks) disk.kill();
        await within(thread.ended, RELEASE_AFTER_KILL_MS);
      }
      await thread.close();
    }
    await Promise.all(this.#disks.map((disk) => disk.close()));
    await Promise.allSettled(this.#overlays.map((overlay) => overlay.close()));
    if (this.#room === undefined) return;
    const warn = (text: string): void => this.#options.report("warning", text);
    await clearRoom(this.#room.directory, warn).catch((error: unknown) => warn(describeError(error)));
  }
}

async function within(work: Promise<void>, limitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(limitMs, false, { signal: timer.signal }).catch(() => false);
  const done = await Promise.race([work.then(() => true), late]);
  timer.abort();
  return done;
}

/** The report says by itself what is a warning or an error. */
function asMessage(line: string): [JobMessage["type"], string] {
  if (/(^|: )Error: /.test(line)) return ["error", line.replace("Error: ", "")];
  if (/(^|: )Warning: /.test(line)) return ["warning", line.replace("Warning: ", "")];
  return ["info", line];
}

/** @throws BackupError FUSE_FAILED where nothing can be mounted, REQUEST_INVALID for what is no absolute path */
export function checkPaths(paths: readonly { path: Buffer }[]): void {
  if (paths.length > 0 && process.geteuid?.() !== 0)
    throw new BackupError("FUSE_FAILED", "only a file daemon that runs as root can mount disk images");
  for (const { path } of paths) {
    const names = path.latin1Slice().split("/");
    const isRight =
      path[0] === 0x2f && !path.includes(0) && !names.some((name) => name === "." || name === "..");
    if (!isRight)
      throw new BackupError("REQUEST_INVALID", `${displayPath(path.latin1Slice())} is no absolute path`);
  }
}
