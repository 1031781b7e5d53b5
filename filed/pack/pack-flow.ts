/**
 * The way of one unit through the pool: read -> claim -> pack -> frame sent -> owners told. A unit is a batch of
 * small files or one window of a large file; it holds a slot from read to packed.
 */
import { BackupError } from "../../common/errors.js";
import { ImageFile } from "../image/image-file.js";
import type { Batch, Pending } from "./batch.js";
import { levelCode } from "./compression.js";
import { chunksOf, encodeChunks, type LargeFile, type Window } from "./large-file.js";
import { type FromWorker, WINDOW_BYTES, type WindowReply } from "./protocol.js";
import type { PackThread, Threads } from "./threads.js";

/**
 * Sends one message of the backup stream; resolves when there is room for another. With `onSent` the bytes are the
 * caller's again as soon as that was called; without, they belong to the stream.
 */
export type Send = (message: Buffer, onSent?: () => void) => Promise<void>;

/** What the pool does for its units. */
export interface FlowOwner {
  selfContained: boolean;
  send: Send;
  claim: (digests: Buffer) => Promise<Buffer>;
  /** A read unit is back, start others. `expected`: what was paid for it. (Default: a window's) */
  readDone: (bytesRead: number, expected?: number) => void;
  /** A slot was returned or a unit packed. */
  changed: () => void;
  /** Tasks were told their result. */
  tasksDone: (count: number) => void;
  /** The file is of the other kind by now, or did not fit. */
  requeue: (pending: Pending, as: "small" | "large") => void;
  /** No further window of the file will be read. */
  fileRead: (file: LargeFile) => void;
  remark: (text: string) => void;
}

interface Unit {
  thread: PackThread;
  slot: number;
  cost: number;
  batch?: Batch;
  file?: LargeFile;
  window?: Window;
}

/** Packing takes about so many times as long as reading the same bytes. */
const PACK_WEIGHT = 2;
/** What opening a file costs, in bytes read meanwhile. */
const OPEN_COST = 4096;

export class PackFlow {
  readonly #threads: Threads;
  readonly #owner: FlowOwner;
  readonly #units = new Map<number, Unit>();
  /** Images of which a plan was asked for. */
  readonly #planning = new Map<number, ImageFile>();
  #nextUnit = 1;
  /** Units whose bytes are not in a frame yet. */
  busy = 0;
  /** Slots held by windows. */
  largeSlots = 0;

  constructor(threads: Threads, owner: FlowOwner) {
    this.#threads = threads;
    this.#owner = owner;
  }

  /** Nothing was asked of a thread that is not done. */
  get isIdle(): boolean {
    return this.#units.size + this.#planning.size === 0;
  }

  readBatch(thread: PackThread, batch: Batch): void {
    const id = this.#begin(thread, batch.bytes + batch.tasks.length * OPEN_COST, { batch });
    const { slot } = this.#units.get(id)!;
    const tasks = batch.encode();
    this.#threads.post(thread, { kind: "batch", unit: id, slot, tasks, count: batch.tasks.length });
  }

  readWindow(file: LargeFile): void {
    const unit = this.#begin(file.thread, WINDOW_BYTES, { file, window: file.reserve() });
    const { slot } = this.#units.get(unit)!;
    file.reading = true;
    this.largeSlots++;
    const open = file.opened
      ? {}
      : { open: { task: new Uint8Array(file.pending.encoded), force: file.force } };
    this.#threads.post(file.thread, { kind: "window", unit, slot, file: file.id, ...open });
  }

  planImage(file: ImageFile): void {
    file.planning = true;
    const task = file.opened ? {} : { task: new Uint8Array(file.pending.encoded) };
    this.#threads.post(file.thread, { kind: "imagePlan", file: file.id, ...task });
    this.#planning.set(file.id, file);
  }

  /** Reads the next planned window in this thread. */
  readImage(file: ImageFile, thread: PackThread): void {
    const unit = this.#begin(thread, WINDOW_BYTES, { file, window: file.reserve() });
    const { slot } = this.#units.get(unit)!;
    this.largeSlots++;
    this.#threads.post(thread, { kind: "imageWindow", unit, slot, image: file.takeWindow() });
  }

  #begin(thread: PackThread, cost: number, rest: Pick<Unit, "batch" | "file" | "window">): number {
    const id = this.#nextUnit++;
    this.#units.set(id, { thread, slot: this.#threads.takeSlot(), cost, ...rest });
    this.busy++;
    thread.reads++;
    thread.load += cost;
    return id;
  }

  /** @throws what send and claim throw */
  async onMessage(thread: PackThread, message: FromWorker): Promise<void> {
    switch (message.kind) {
      case "batchRead":
        return this.#batchRead(message.unit, message);
      case "windowRead":
        return this.#windowRead(message.unit, message.window);
      case "imagePlanned": {
        const file = this.#planning.get(message.file)!;
        this.#planning.delete(message.file);
        file.planned(message.plan);
        await this.#endImage(file);
        const { bytesRead } = message.plan;
        return bytesRead > 0 ? this.#owner.readDone(bytesRead, 0) : this.#owner.changed();
      }
      case "packed": {
        thread.open = true;
        const unit = this.#units.get(message.unit)!;
        unit.thread.load -= unit.cost;
        this.#leaveSlot(unit);
        return this.#owner.changed();
      }
      case "frame": {
        thread.open = false;
        thread.openTicks = 0;
        const { slot, length } = message;
        thread.unsent++;
        const onSent = (): void => {
          thread.unsent--;
          this.#threads.post(thread, { kind: "frameTaken", slot });
        };
        await this.#owner.send(thread.frames[slot]!.subarray(0, length), onSent);
        for (const unit of message.completes) await this.#complete(unit);
        return;
      }
      case "remark":
        this.#owner.remark(message.text);
    }
  }

  #answered(id: number): Unit {
    const unit = this.#units.get(id)!;
    unit.thread.reads--;
    unit.thread.load -= unit.cost;
    return unit;
  }

  /** The slot's bytes are not needed any more. */
  #leaveSlot(unit: Unit): void {
    this.busy--;
    if (unit.file !== undefined) this.largeSlots--;
    this.#threads.returnSlot(unit.slot);
  }

  async #batchRead(id: number, answer: { results: Uint8Array; errors: string[] }): Promise<void> {
    const unit = this.#answered(id);
    const batch = unit.batch!;
    const { large, again, bytesRead } = batch.read(answer.results, answer.errors);
    for (const pending of large) this.#owner.requeue(pending, "large");
    for (const pending of again) this.#owner.requeue(pending, "small");
    this.#owner.readDone(bytesRead, batch.bytes);
    const { selfContained } = this.#owner;
    const { wanted, digests, indexes } = batch.candidates(!selfContained);
    let unknown = indexes.length;
    if (!selfContained && indexes.length > 0) {
      const known = await this.#claim(digests);
      for (let i = 0; i < indexes.length; i++) {
        if (known[i] !== 1) continue;
        wanted[indexes[i]!] = 0;
        unknown--;
      }
    }
    if (unknown === 0) {
      this.#threads.post(unit.thread, { kind: "drop", unit: id });
      return this.#nothingWanted(id, unit);
    }
    unit.cost = batch.bytes * PACK_WEIGHT;
    unit.thread.load += unit.cost;
    this.#threads.post(unit.thread, { kind: "packBatch", unit: id, wanted });
  }

  /** The last window of an image is read: its end follows. */
  async #endImage(file: ImageFile): Promise<void> {
    if (!file.isRead) return;
    file.finish();
    this.#owner.fileRead(file);
    if (await file.advance()) this.#owner.tasksDone(1);
  }

  async #windowRead(id: number, reply: WindowReply): Promise<void> {
    const unit = this.#answered(id);
    const file = unit.file!;
    const window = unit.window!;
    const { state, bytesRead } = reply;
    if (file instanceof ImageFile) {
      file.fill(window, file.windowRead(reply));
      this.#owner.readDone(bytesRead);
      await this.#endImage(file);
      return this.#claimWindow(id, unit, window);
    }
    file.reading = false;
    if (!file.opened && state !== "small") file.pending.release();
    file.opened = true;
    if (state === "small") {
      this.#units.delete(id);
      this.#leaveSlot(unit);
      this.#owner.fileRead(file);
      this.#owner.requeue(file.pending, "small");
      return this.#owner.readDone(0);
    }
    file.fill(window, reply);
    if (file.ended) this.#owner.fileRead(file);
    this.#owner.readDone(bytesRead);
    return this.#claimWindow(id, unit, window);
  }

  async #claimWindow(id: number, unit: Unit, window: Window): Promise<void> {
    const { digests, chunks } = chunksOf(window);
    const known = digests.length === 0 ? digests : await this.#claim(digests);
    const unknown = chunks.filter((_, i) => known[i] !== 1);
    if (unknown.length === 0) return this.#nothingWanted(id, unit);
    // Any thread may pack it: both cores work on one large file.
    unit.thread = this.#threads.leastLoaded();
    unit.cost = unknown.reduce((sum, { length }) => sum + length, 0) * PACK_WEIGHT;
    unit.thread.load += unit.cost;
    const code = levelCode(unit.file!.pending.compression);
    const packed = { chunks: encodeChunks(unknown), count: unknown.length, code };
    this.#threads.post(unit.thread, { kind: "packChunks", unit: id, slot: unit.slot, ...packed });
  }

  async #claim(digests: Buffer): Promise<Buffer> {
    const known = await this.#owner.claim(digests);
    if (known.length * 32 !== digests.length) {
      throw new BackupError(
        "PROTOCOL_ERROR",
        "the storage daemon answered a claim with a wrong number of bytes",
      );
    }
    return known;
  }

  async #nothingWanted(id: number, unit: Unit): Promise<void> {
    this.#leaveSlot(unit);
    await this.#complete(id);
    this.#owner.changed();
  }

  async #complete(id: number): Promise<void> {
    const { batch, file, window } = this.#units.get(id)!;
    this.#units.delete(id);
    if (batch !== undefined) this.#owner.tasksDone(batch.deliver());
    else {
      window!.sent = true;
      if (await file!.advance()) this.#owner.tasksDone(1);
    }
  }

  /** A message that nobody waits for any more. */
  discard(message: FromWorker): void {
    if (message.kind !== "imagePlanned" || message.plan.opened === undefined) return;
    this.#planning.get(message.file)!.planned(message.plan);
  }

  /** After the threads have ended: lets go of directories whose files were about to be opened. */
  releaseAll(): void {
    for (const { batch } of this.#units.values()) {
      if (batch?.results.length === 0) for (const task of batch.tasks) task.release();
    }
  }
}
