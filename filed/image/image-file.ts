/**
 * A disk image on the main thread. One thread opens it and plans its windows, any thread reads them, several at once;
 * their order is kept by the places they were given. The descriptor is closed here, when no thread reads from it.
 */
import { closeFd } from "../../common/sys/files.js";
import { LargeFile } from "../pack/large-file.js";
import type { WindowReply } from "../pack/protocol.js";
import type { PackThread, Threads } from "../pack/threads.js";
import type { ImagePlan } from "./image-source.js";
import type { WindowRequest } from "./read-window.js";

/** With fewer windows left the next ones are planned. */
const LOW_WINDOWS = 8;
const NOTHING = new Uint8Array(0);

export class ImageFile extends LargeFile {
  /** A plan was asked for. */
  planning = false;
  #windows: Uint8Array[] = [];
  #allPlanned = false;
  #reading = 0;
  #opened: NonNullable<ImagePlan["opened"]> | undefined;
  #unstable = false;
  /** Of the maps, which are no part of any window. */
  #bytesPlanned = 0;
  #disposed = false;
  #failure: { state: "vanished" | "failed"; error: string | undefined } | undefined;

  /** It is time to ask for a plan. */
  get wantsPlan(): boolean {
    return !this.planning && !this.#allPlanned && this.#windows.length < LOW_WINDOWS;
  }

  /** Everything was read that will be, and `finish` was not called yet. */
  get isRead(): boolean {
    return !this.ended && !this.planning && this.#allPlanned && this.#windows.length + this.#reading === 0;
  }

  override readerOf(threads: Threads): PackThread | undefined {
    return this.#windows.length > 0 ? threads.readerThread() : undefined;
  }

  /** Takes over the descriptor of the first plan. */
  planned({ state, opened, windows, done, notes, bytesRead, error }: ImagePlan): void {
    this.planning = false;
    this.#bytesPlanned += bytesRead;
    if (!this.opened && !this.#disposed) this.pending.release();
    this.opened = true;
    for (const note of notes) this.pending.onNote?.(note);
    if (opened !== undefined && this.#disposed) closeFd(opened.fd);
    else if (opened !== undefined) {
      this.#opened = opened;
      this.#unstable = opened.differs;
    }
    if (state !== "ok") this.#fail(state, error);
    else if (this.#failure === undefined) {
      this.#windows.push(...windows);
      this.#allPlanned = done;
    }
  }

  /** What a thread is asked to read next. */
  takeWindow(): WindowRequest {
    this.#reading++;
    const { fd, direct, before } = this.#opened!;
    const { blockSize, isDevice } = this.pending.image!;
    return { fd, direct, blockSize, plan: this.#windows.shift()!, before: isDevice ? undefined : before };
  }

  /** The window as it counts: one that could not be read ends the image, but the ones before and after have their place. */
  windowRead(reply: WindowReply): WindowReply {
    this.#reading--;
    if (reply.direct === false && this.#opened !== undefined) this.#opened.direct = false;
    if (reply.unstable) this.#unstable = true;
    // A file may be cut off; a device that has no more bytes was taken away (its reads say "end", not an error).
    if (reply.unstable && this.pending.image!.isDevice)
      this.#fail("failed", "the device became shorter or went away while it was read");
    if (reply.state === "failed") this.#fail("failed", reply.error);
    return { ...reply, state: "more" };
  }

  #fail(state: "vanished" | "failed", error: string | undefined): void {
    this.#failure ??= { state, error };
    this.#windows = [];
    this.#allPlanned = true;
  }

  /** Adds the end behind the last window. */
  finish(): void {
    const { state, error } = this.#failure ?? { state: "end", error: undefined };
    const size = this.#opened?.size ?? 0;
    const why = error === undefined ? {} : { error };
    const [unstable, bytesRead] = [this.#unstable, this.#bytesPlanned];
    this.#close();
    const window = this.reserve();
    this.fill(window, { state, parts: NOTHING, count: 0, bytesRead, size, unstable, ...why });
    window.sent = true;
  }

  override dispose(): void {
    super.dispose();
    this.#disposed = true;
    this.#close();
  }

  #close(): void {
    if (this.#opened !== undefined) closeFd(this.#opened.fd);
    this.#opened = undefined;
  }
}
