/** Reads the manifest in force of one job from its volumes, frame by frame, into a ListReload. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Catalog } from "../catalog/catalog.js";
import type { ClosingFrame } from "../catalog/kept-lists.js";
import type { VolumeRecord } from "../catalog/types.js";
import { detached, type Remote, WorkerClient } from "../catalog/worker-rpc.js";
import type { LoadedBlock } from "../catalog/writer-lists.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { uuidText } from "../volume/json.js";
import { volumePath } from "../volume/label.js";
import { VolumeReader } from "../volume/reader.js";
import type { ReloadMethods, ReloadOrder } from "./reload-list.js";
import type { ReloadWorkerData } from "./reload-worker.js";

/** One list that is being read. */
export interface OpenReload {
  reload: Remote<ReloadMethods>;
  /** Ends it, whatever it is at. */
  close: () => Promise<void>;
}
export type StartReload = (data: ReloadWorkerData) => OpenReload;

export function startReload(data: ReloadWorkerData): OpenReload {
  const worker = new WorkerClient(new URL("./reload-worker.js", import.meta.url), data);
  return { reload: worker.remote<ReloadMethods>(), close: () => worker.close() };
}

export interface ManifestReading {
  catalog: Catalog;
  store: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
  start: StartReload;
}

/** How often places are looked up again because a volume was purged or emptied meanwhile. */
const ATTEMPTS = 3;
let holders = 0;

/**
 * Gives `take` the blocks of the list, in order; with `order.compare` none.
 * @throws BackupError LIST_UNREADABLE naming the job and the volume; the signal's reason
 */
export async function readManifest(
  reading: ManifestReading,
  order: ReloadOrder,
  signal: AbortSignal | undefined,
  take: (blocks: LoadedBlock[]) => Promise<void>,
): Promise<void> {
  const { catalog, start } = reading;
  const { job, jobId, uuid, rows, compare } = order;
  const holder = `list ${job} ${++holders}`;
  const { frames, volumes } = await held(catalog, order, holder);
  const source = new ClosingFrames(reading, order, volumes);
  const plain = { job, jobId, uuid, rows, compare };
  const { reload, close } = start({ reloadCatalog: catalog.file, order: plain });
  try {
    await reload.begin(await newestRevision(source, frames, reload));
    for (const place of frames) {
      signal?.throwIfAborted();
      const frame = await source.read(place);
      // A frame that cannot be read may be of an older manifest: a piece that is missed is noticed.
      if (frame === undefined) continue;
      await take((await source.told(() => reload.push(frame, place.rawBytes))) as LoadedBlock[]);
    }
    await take((await source.told(() => reload.finish())) as LoadedBlock[]);
  } finally {
    await close();
    await source.close();
    await catalog.writer.letGo(holder);
  }
}

/** The frames, on volumes that stay until they are let go. */
async function held(catalog: Catalog, order: ReloadOrder, holder: string) {
  for (let attempt = 1; ; attempt++) {
    const frames = await catalog.reader.closingFrames(order.job);
    const ids = new Set(frames.map(({ volume }) => volume));
    const all = await catalog.reader.listVolumes("", "");
    const volumes = new Map(all.filter(({ id }) => ids.has(id)).map((volume) => [volume.id, volume]));
    const uuids = [...volumes.values()].map(({ uuid }) => uuid);
    if (await catalog.writer.hold(holder, [...volumes.keys()], uuids)) return { frames, volumes };
    if (attempt === ATTEMPTS) throw unreadable(order, "", "its volumes are purged");
  }
}

/** Manifests are written one after the other: the last frame that has a piece of one belongs to the newest. */
async function newestRevision(
  source: ClosingFrames,
  frames: readonly ClosingFrame[],
  reload: Remote<ReloadMethods>,
): Promise<number> {
  for (const place of [...frames].reverse()) {
    const frame = await source.read(place);
    if (frame === undefined) throw source.failure;
    const revision = await source.told(() => reload.revisionOf(frame, place.rawBytes));
    if (revision > 0) return revision;
  }
  throw source.error("the catalog knows no frame with its manifest");
}

/** Frames of one job; one volume is open at a time. */
class ClosingFrames {
  readonly #reading: ManifestReading;
  readonly #order: ReloadOrder;
  readonly #volumes: ReadonlyMap<number, VolumeRecord>;
  #reader: VolumeReader | undefined;
  #volume = "";
  /** Why the last frame that could not be read could not. */
  failure: BackupError | undefined;

  constructor(reading: ManifestReading, order: ReloadOrder, volumes: ReadonlyMap<number, VolumeRecord>) {
    this.#reading = reading;
    this.#order = order;
    this.#volumes = volumes;
  }

  /** The zstd frame; undefined when it cannot be read (`failure`). */
  async read({ volume, offset, bytes }: ClosingFrame): Promise<Uint8Array | undefined> {
    try {
      const reader = await this.#open(volume);
      const { index, frame } = await reader.readFrameAt(offset, bytes);
      if (uuidText(index.jobUuid) !== this.#order.uuid)
        throw new GarbledInput("another job's frame is there");
      return detached(frame);
    } catch (error) {
      if (!(error instanceof BackupError) && !(error instanceof GarbledInput)) throw error;
      this.failure = this.error(describeError(error));
      return undefined;
    }
  }

  async #open(id: number): Promise<VolumeReader> {
    const volume = this.#volumes.get(id);
    const device = volume === undefined ? undefined : this.#reading.devices().get(volume.device);
    this.#volume = volume?.name ?? "";
    if (volume === undefined || device === undefined)
      throw new BackupError("VOLUME_UNKNOWN", `Device "${volume?.device ?? ""}" is not configured`);
    const path = volumePath(device.archiveDevice, volume.name);
    if (this.#reader?.path === path) return this.#reader;
    await this.close();
    this.#reader = await VolumeReader.open(this.#reading.store, path);
    return this.#reader;
  }

  /** Runs a step of the reload; what it finds wrong names the job and the volume, or the frame that was missed. */
  async told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== "LIST_UNREADABLE") throw error;
      throw this.failure ?? this.error(describeError(error));
    }
  }

  error(why: string): BackupError {
    return unreadable(this.#order, this.#volume, why);
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    this.#reader = undefined;
  }
}

function unreadable({ jobId, compare }: ReloadOrder, volume: string, why: string): BackupError {
  const where = volume === "" ? "" : ` on Volume "${volume}"`;
  const what = compare ? "cannot be read, so its list stays" : "is needed for its list and cannot be read";
  return new BackupError("LIST_UNREADABLE", `the manifest of JobId ${jobId}${where} ${what}: ${why}`);
}
