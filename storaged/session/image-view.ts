/** The disk images of a job, to be read anywhere: what their blocks are and where those lie. In a thread of its own. */
import { BackupError, describeError } from "../../common/errors.js";
import { displayPath, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { Compressor, decompressUnchecked } from "../../common/format/zstd.js";
import {
  encodeBlocks,
  type ImageBlock,
  type ImageRange,
  type ReadableImage,
} from "../../proto/data/image-read.js";
import { CopyQueries } from "../catalog/copy-queries.js";
import { LayerQueries, type Layers } from "../catalog/layers.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { Lists } from "../catalog/lists.js";
import { RuleMatcher } from "../catalog/rules.js";
import { type Db, openForReading } from "../catalog/schema.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import { type ChunkPlace, ContentPlaces } from "./content-places.js";
import { type PartAt, PartsIndex } from "./parts-index.js";

export interface OpenedView {
  images: ReadableImage[];
  /** Volumes that hold content of the job, by name, number, and the UUIDs of their labels now. */
  volumes: string[];
  volumeIds: number[];
  volumeUuids: string[];
}

/** A frame to be read, and what of it is to be sent. */
export interface ViewFrame {
  volume: number;
  pos: number;
  bytes: number;
  rawBytes: number;
  blocks: ImageBlock[];
}

export interface ViewAnswer {
  zeros: ImageRange[];
  /** In volume order. */
  frames: ViewFrame[];
}

/** More disks than a machine has. */
const MAX_IMAGES = 256;
/** Blocks of a wanted frame are sent along when they lie in the same stretch of the image as what is wanted. */
const STRETCH_BYTES = 1024 * 1024;

interface Image {
  size: number;
  parts(offset: number, length: number): Iterable<PartAt>;
}

export class ImageView {
  readonly #db: Db;
  readonly #places: ContentPlaces;
  readonly #next;
  readonly #images: Image[] = [];
  readonly #compressor = new Compressor(1);

  constructor(catalogFile: string) {
    this.#db = openForReading(catalogFile);
    this.#places = new ContentPlaces(this.#db);
    this.#next = this.#db.prepare<[number, number], { seq: number; data: Buffer }>(
      "SELECT seq, data FROM content_part WHERE content = ? AND seq > ? ORDER BY seq LIMIT 1",
    );
  }

  /**
   * The files of the list that the rules select. One JobId stands for its effective list, several are layers, oldest
   * first. @throws BackupError NOT_FOUND, NO_IMAGE, TOO_MANY_IMAGES
   */
  open(jobIds: readonly number[], rules: readonly SelectionRule[]): OpenedView {
    return this.#db.transaction(() => this.#open(jobIds, rules))();
  }

  #open(jobIds: readonly number[], rules: readonly SelectionRule[]): OpenedView {
    const queries = new LayerQueries(this.#db);
    const [only, more] = jobIds;
    const layers: Layers =
      only !== undefined && more === undefined
        ? queries.effective(queries.local(only))
        : queries.selection(jobIds);
    const volumeIds = new CopyQueries(this.#db).volumesOf(layers.jobs);
    this.#places.prefer(volumeIds);
    const matcher = new RuleMatcher(rules);
    const images: ReadableImage[] = [];
    const cursor = new Lists(this.#db).overlay(layers.jobs);
    for (; cursor.row !== undefined; cursor.advance()) {
      const { row } = cursor;
      if (!matcher.selects(row.key) || row.type !== EntryType.file || row.size === 0) continue;
      if (images.length === MAX_IMAGES)
        throw new BackupError("TOO_MANY_IMAGES", `more than ${MAX_IMAGES} disk images were selected`);
      images.push({ path: keyToPath(row.key), size: row.size });
      this.#images.push(this.#image(row));
    }
    if (images.length === 0) throw new BackupError("NO_IMAGE", "the job has no such disk image");
    const uuid = this.#db.prepare<[number], string>("SELECT uuid FROM volume WHERE id = ?").pluck();
    return {
      images,
      volumes: volumeIds.map((id) => this.#places.volumeName(id)),
      volumeIds,
      volumeUuids: volumeIds.map((id) => uuid.get(id) ?? ""),
    };
  }

  #image({ key, size, flags, content }: Row): Image {
    const digest = Buffer.from(content!);
    if ((flags & RowFlag.parts) === 0) return { size, parts: () => [{ offset: 0, length: size, digest }] };
    const list = this.#places.listOf(digest, size);
    if (list === undefined) {
      const path = displayPath(keyToPath(key));
      throw new BackupError("CONTENT_MISSING", `the list of blocks of ${path} is not in the catalog`);
    }
    const index = new PartsIndex((after) => this.#next.get(list, after));
    return { size, parts: (offset, length) => index.within(offset, length) };
  }

  /** @throws BackupError CONTENT_MISSING, RANGE_INVALID for what is no range of an image of this view */
  locate(image: number, offset: number, length: number): ViewAnswer {
    const disk = this.#images[image];
    if (disk === undefined || offset + length > disk.size)
      throw new BackupError("RANGE_INVALID", "what the client wants to read is outside of the job's images");
    return this.#db.transaction(() => this.#locate(disk, offset, length))();
  }

  #locate(disk: Image, offset: number, length: number): ViewAnswer {
    const wanted = (part: PartAt): boolean =>
      part.offset < offset + length && part.offset + part.length > offset;
    const start = offset - (offset % STRETCH_BYTES);
    const end = Math.ceil((offset + length) / STRETCH_BYTES) * STRETCH_BYTES;
    const zeros: ImageRange[] = [];
    const found: { part: PartAt; place: ChunkPlace }[] = [];
    for (const part of disk.parts(start, end - start)) {
      if (part.digest === undefined) {
        zeros.push({ offset: part.offset, length: part.length });
        continue;
      }
      const place = this.#places.chunk(part.digest, part.length);
      if (place !== undefined) found.push({ part, place });
      else if (wanted(part))
        throw new BackupError("CONTENT_MISSING", "a block of the disk image is on no volume of this storage");
    }
    const frames = new Map<string, { place: ChunkPlace; blocks: ImageBlock[] }>();
    for (const { part, place } of found)
      if (wanted(part)) frames.set(`${place.volume}:${place.pos}`, { place, blocks: [] });
    for (const { part, place } of found) {
      const { offset: at, length: bytes, digest } = part;
      const block = { offset: at, frameOffset: place.offset, length: bytes, digest: digest! };
      frames.get(`${place.volume}:${place.pos}`)?.blocks.push(block);
    }
    return { zeros, frames: [...frames.values()].map(toFrame).sort(byVolume) };
  }

  /**
   * The message with these blocks alone: what else lies in the frame may be another machine's.
   * @throws BackupError FRAME_DAMAGED
   */
  cut(frame: Uint8Array, rawBytes: number, blocks: readonly ImageBlock[]): Buffer {
    const raw = Buffer.allocUnsafeSlow(rawBytes);
    try {
      decompressUnchecked(raw, frame);
    } catch (cause) {
      throw new BackupError("FRAME_DAMAGED", `a frame on a volume is damaged: ${describeError(cause)}`, {
        cause,
      });
    }
    let at = 0;
    const pieces: Buffer[] = [];
    const moved = blocks.map((block) => {
      const { frameOffset, length } = block;
      pieces.push(raw.subarray(frameOffset, frameOffset + length));
      at += length;
      // Across threads a Buffer comes as another kind of array.
      return { ...block, digest: asBuffer(block.digest), frameOffset: at - length };
    });
    return encodeBlocks(moved, at, this.#compressor.compress(Buffer.concat(pieces)));
  }

  close(): void {
    this.#db.close();
  }
}

function toFrame({ place, blocks }: { place: ChunkPlace; blocks: ImageBlock[] }): ViewFrame {
  const { volume, pos, bytes, rawBytes } = place;
  return { volume, pos, bytes, rawBytes, blocks };
}

function byVolume(a: ViewFrame, b: ViewFrame): number {
  return a.volume - b.volume || a.pos - b.pos;
}
