/**
 * A restore of files from disk images at the storage daemon: filed reads in the images that the director named, and gets
 * the blocks that hold what it asks for. It can ask for nothing else.
 */
import { BackupError, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { encodeJson } from "../../proto/data/backup.js";
import {
  decodeRead,
  encodeDone,
  encodeZeros,
  ImageKind,
  type ImageRead,
} from "../../proto/data/image-read.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { DataStream } from "../../proto/rpc.js";
import { asBuffer, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import { FetchedSession } from "./fetched-session.js";
import { FrameSource } from "./frame-source.js";
import type { OpenedView } from "./image-view.js";
import type { ViewMethods } from "./image-view-worker.js";

export class ImageSession extends FetchedSession {
  #worker: WorkerClient | undefined;
  #view: Remote<ViewMethods> | undefined;
  #opened: OpenedView | undefined;

  protected async prepare(): Promise<void> {
    const { catalog } = this.deps;
    const url = new URL("./image-view-worker.js", import.meta.url);
    const worker = new WorkerClient(url, { viewCatalogFile: catalog.file });
    this.#worker = worker;
    this.signal.addEventListener("abort", () => void worker.close(), { once: true });
    this.signal.throwIfAborted();
    const view = worker.remote<ViewMethods>();
    this.#view = view;
    const jobIds = this.request.selection?.jobIds ?? [];
    const open = () => view.open(jobIds, this.rules);
    const opened = await catalog.withListsOf(jobIds, open, this.signal);
    if (!(await catalog.writer.hold(this.jobUuid, opened.volumeIds, opened.volumeUuids))) {
      const text = "a volume was purged while the disk images were looked up; run the restore again";
      throw new BackupError("VOLUME_PURGED", text);
    }
    this.#opened = opened;
  }

  protected async deliver(stream: DataStream): Promise<void> {
    const view = this.#view!;
    const source = new FrameSource(this.deps, (text) => this.reporter.message("info", text));
    try {
      await stream.send(encodeJson(ImageKind.images, this.#opened!.images));
      for await (const message of stream.incoming) {
        const trouble = await this.#answer(view, source, stream, asRead(message));
        if (trouble !== "") await this.reporter.message("error", `Cannot read in a disk image: ${trouble}`);
        await stream.send(encodeDone(trouble));
      }
      await stream.end();
    } finally {
      await source.close();
    }
  }

  /** Why not all that was wanted could be sent; "" when it was. @throws as DataStream.send */
  async #answer(
    view: Remote<ViewMethods>,
    source: FrameSource,
    stream: DataStream,
    { image, offset, length }: ImageRead,
  ): Promise<string> {
    for (let tried = 1; ; tried++) {
      const messages: Buffer[] = [];
      try {
        const { zeros, frames } = await view.locate(image, offset, length);
        if (zeros.length > 0) messages.push(encodeZeros(zeros));
        for (const { volume, pos, bytes, rawBytes, blocks } of frames) {
          const frame = await source.read(volume, pos, bytes);
          messages.push(asBuffer(await view.cut(frame, rawBytes, blocks)));
        }
      } catch (error) {
        if (!(error instanceof BackupError)) throw error;
        // A frame may have been moved to another volume between the two steps.
        if (tried === 1) continue;
        return describeError(error);
      }
      for (const message of messages) {
        await stream.send(message);
        this.sentBytes += message.length;
      }
      await this.reporter.setProgress({ bytesSent: this.sentBytes });
      return "";
    }
  }

  /** How many files come of it, filed alone knows. */
  protected counts(): JobResult {
    return { volumes: this.#opened?.volumes ?? [] };
  }

  protected expected(): number {
    return 0;
  }

  protected async release(): Promise<void> {
    await this.deps.catalog.writer.letGo(this.jobUuid);
    await this.#worker?.close();
  }
}

function asRead(message: Buffer): ImageRead {
  try {
    return decodeRead(message);
  } catch (cause) {
    if (!(cause instanceof GarbledInput)) throw cause;
    throw new BackupError("PROTOCOL_VIOLATION", `the client sent what is no read: ${cause.message}`, {
      cause,
    });
  }
}
