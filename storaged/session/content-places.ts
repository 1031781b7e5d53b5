/** Where content can be read: chunks of finished jobs, on the connection of one restore. */

import type { Db } from "../catalog/schema.js";

export interface ChunkPlace {
  volume: number;
  /** Offset of the frame's index record on the volume. */
  pos: number;
  /** Index record and frame. */
  bytes: number;
  rawBytes: number;
  /** Bytes from the start of the decompressed frame. */
  offset: number;
}

/** The last places asked for: neighbours on the volume are neighbours in the list. */
const FRAME_CACHE = 256;

export class ContentPlaces {
  #preferred: ReadonlySet<number> = new Set();
  readonly #copies;
  readonly #isDirty;
  readonly #finished = new Map<number, boolean>();
  readonly #frame;
  readonly #content;
  readonly #segment;
  readonly #volume;
  readonly #frames = new Map<
    number,
    { volume: number; offset: number; bytes: number; raw_bytes: number } | undefined
  >();

  constructor(db: Db) {
    this.#copies = db
      .prepare<[Buffer], [number, number, number, number, number]>(
        "SELECT job, frame, offset, length, damaged FROM chunk WHERE digest = ?",
      )
      .raw();
    this.#isDirty = db.prepare<[number], number>("SELECT dirty FROM job WHERE id = ?").pluck();
    this.#frame = db.prepare<[number], { volume: number; offset: number; bytes: number; raw_bytes: number }>(
      "SELECT volume, offset, bytes, raw_bytes FROM frame WHERE id = ?",
    );
    this.#content = db
      .prepare<[Buffer, number], number>(
        `SELECT c.id FROM content c JOIN job j ON j.id = c.job
         WHERE c.identity = ? AND c.size = ? AND j.dirty = 0 ORDER BY c.job LIMIT 1`,
      )
      .pluck();
    this.#segment = db
      .prepare<[number, number], [number, Buffer]>(
        "SELECT seq, data FROM content_part WHERE content = ? AND seq > ? ORDER BY seq LIMIT 1",
      )
      .raw();
    this.#volume = db.prepare<[number], string>("SELECT name FROM volume WHERE id = ?").pluck();
  }

  /** Of several copies of a chunk those on these volumes are taken. */
  prefer(volumes: readonly number[]): void {
    this.#preferred = new Set(volumes);
  }

  volumeName(id: number): string {
    return this.#volume.get(id) ?? `#${id}`;
  }

  /** An undamaged copy in a finished job; of several the oldest, which neighbours share. */
  chunk(digest: Buffer, length: number): ChunkPlace | undefined {
    return this.chunks(digest, length)[0];
  }

  /** All copies in finished jobs: undamaged ones first, then those on preferred volumes, then the older. */
  chunks(digest: Buffer, length: number): ChunkPlace[] {
    const copies = this.#copies
      .all(digest)
      .filter(([job, , , stored]) => stored === length && this.#isFinished(job));
    if (copies.length > 1)
      copies.sort((a, b) => a[4] - b[4] || this.#rank(a[1]) - this.#rank(b[1]) || a[0] - b[0]);
    return copies.flatMap(([, id, offset]) => {
      const frame = this.#frameOf(id);
      if (frame === undefined) return [];
      const { volume, offset: pos, bytes, raw_bytes: rawBytes } = frame;
      return [{ volume, pos, bytes, rawBytes, offset }];
    });
  }

  #rank(frame: number): number {
    const volume = this.#frameOf(frame)?.volume;
    return volume !== undefined && this.#preferred.has(volume) ? 0 : 1;
  }

  /** Number of a content in parts, whether or not all of them can be read. */
  listOf(identity: Buffer, size: number): number | undefined {
    return this.#content.get(identity, size);
  }

  #isFinished(job: number): boolean {
    let finished = this.#finished.get(job);
    if (finished === undefined) {
      finished = this.#isDirty.get(job) === 0;
      this.#finished.set(job, finished);
    }
    return finished;
  }

  #frameOf(id: number): { volume: number; offset: number; bytes: number; raw_bytes: number } | undefined {
    if (!this.#frames.has(id)) {
      if (this.#frames.size >= FRAME_CACHE) this.#frames.clear();
      this.#frames.set(id, this.#frame.get(id));
    }
    return this.#frames.get(id);
  }

  /** Segments of a content's parts list, in order. */
  *parts(content: number): Generator<Buffer> {
    for (let after = -1; ; ) {
      const segment = this.#segment.get(content, after);
      if (segment === undefined) return;
      after = segment[0];
      yield segment[1];
    }
  }
}
