/** Reads frames from volumes for one restore; a volume is opened when its first frame is wanted. */

import { BackupError } from "../../common/errors.js";
import type { Catalog } from "../catalog/catalog.js";
import type { VolumeRecord } from "../catalog/types.js";
import { changersOf } from "../changer/changer-store.js";
import type { DeviceResource } from "../config.js";
import type { Store } from "../store/store.js";
import { volumePath } from "../volume/label.js";
import { type VolumeFrame, type VolumeItem, VolumeReader } from "../volume/reader.js";
import { placeOf } from "./volume-messages.js";

export interface FrameSourceOptions {
  catalog: Catalog;
  store: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
}

/** Open at the same time: more than frames are read ahead, so that none is closed while it is read. */
const OPEN_VOLUMES = 6;

export class FrameSource {
  readonly #options: FrameSourceOptions;
  readonly #say: (text: string) => Promise<void>;
  readonly #open = new Map<number, Promise<VolumeReader>>();
  /** The device that was named last. */
  #told = "";
  #records: Map<number, VolumeRecord> | undefined;

  constructor(options: FrameSourceOptions, say: (text: string) => Promise<void>) {
    this.#options = options;
    this.#say = say;
  }

  /**
   * The zstd frame behind the index record at `offset`; it lies in `into`, behind its record, when it is as long as
   * `bytes` says. @throws BackupError
   */
  async read(volume: number, offset: number, bytes: number, into?: Buffer): Promise<Buffer> {
    const reader = await this.#reader(volume);
    const { frame } = await reader.readFrameAt(offset, bytes, into);
    return frame;
  }

  /** The frame with its index. @throws BackupError */
  async frame(volume: number, offset: number, bytes: number): Promise<VolumeFrame> {
    return (await this.#reader(volume)).readFrameAt(offset, bytes);
  }

  /** Records and indexes from `from` on, without the frames. @throws BackupError */
  async *records(volume: number, from: number): AsyncGenerator<VolumeItem, void> {
    yield* (await this.#reader(volume)).scan({ from, frames: false });
  }

  #reader(volume: number): Promise<VolumeReader> {
    let reader = this.#open.get(volume);
    if (reader === undefined) {
      reader = this.#openVolume(volume);
      this.#open.set(volume, reader);
      if (this.#open.size > OPEN_VOLUMES) {
        const [oldest, leaving] = [...this.#open][0]!;
        this.#open.delete(oldest);
        void leaving.then((open) => open.close()).catch(() => undefined);
      }
    }
    return reader;
  }

  async #openVolume(volume: number): Promise<VolumeReader> {
    const { catalog, devices, store } = this.#options;
    this.#records ??= new Map(
      (await catalog.reader.listVolumes("", "")).map((record) => [record.id, record]),
    );
    const record = this.#records.get(volume);
    if (record === undefined)
      throw new BackupError("VOLUME_UNKNOWN", "its Volume is not in the catalog any more");
    const device = devices().get(record.device);
    if (device === undefined) {
      const text = `Volume "${record.name}" lies on Device "${record.device}", which this storage does not have`;
      throw new BackupError("DEVICE_UNKNOWN", text);
    }
    const drive = (await changersOf(store)?.load(device, record.name, this.#say)) ?? device;
    const reader = await VolumeReader.open(store, volumePath(drive.archiveDevice, record.name));
    if (this.#told !== drive.name) await this.#say(`Using Device "${drive.name}" to read.`);
    this.#told = drive.name;
    await this.#say(`Ready to read from volume "${record.name}" on ${placeOf(drive)}.`);
    return reader;
  }

  async close(): Promise<void> {
    const readers = [...this.#open.values()];
    this.#open.clear();
    for (const reader of readers) await (await reader.catch(() => undefined))?.close();
  }
}
