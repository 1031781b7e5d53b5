/** Jobs and places of contents, read for lists and manifests. */

import { DIGEST_BYTES, PART_BYTES } from "../../common/format/content.js";
import { LayerQueries } from "./layers.js";
import type { JobExtentRow } from "./listing-types.js";
import type { Db } from "./schema.js";
import type { JobListing, JobRecord, LocalJob, VolumeExtent } from "./types.js";
import { asBuffer } from "./worker-rpc.js";

export interface JobQuery {
  jobIds: number[];
  client: string;
  jobName: string;
  fileSet: string;
  /** Only jobs that ended before; 0: all. */
  beforeMs: number;
  /** 0: all. */
  limit: number;
}

export interface ContentPlace {
  jobId: number;
  volume: string;
}

type Raw = Record<string, number | string>;

export class JobQueries {
  readonly #db: Db;
  readonly #layers: LayerQueries;
  readonly #volumes;
  readonly #extents;
  readonly #needs;
  readonly #copies;
  readonly #frameVolume;
  readonly #poolOf;
  readonly #finished;
  readonly #content;
  readonly #parts;

  constructor(db: Db) {
    this.#db = db;
    this.#layers = new LayerQueries(db);
    this.#volumes = db
      .prepare<[number], string>(
        "SELECT DISTINCT v.name FROM job_volume j JOIN volume v ON v.id = j.volume WHERE j.job = ? ORDER BY j.ord",
      )
      .pluck();
    this.#extents = db.prepare<[number], VolumeExtent>(
      `SELECT v.name AS volume, v.media_type AS mediaType, v.slot, j.first_offset AS first, j.end_offset AS end
       FROM job_volume j JOIN volume v ON v.id = j.volume WHERE j.job = ? ORDER BY j.ord`,
    );
    this.#needs = db
      .prepare<[number], string>(
        "SELECT v.name FROM job_need n JOIN volume v ON v.id = n.volume WHERE n.job = ? ORDER BY v.id",
      )
      .pluck();
    this.#copies = db
      .prepare<[Buffer], [number, number, number]>(
        "SELECT job, frame, pool FROM chunk WHERE digest = ? AND damaged = 0",
      )
      .raw();
    this.#poolOf = db.prepare<[number], number>("SELECT pool FROM job WHERE id = ?").pluck();
    this.#frameVolume = db
      .prepare<[number], string>("SELECT v.name FROM frame f JOIN volume v ON v.id = f.volume WHERE f.id = ?")
      .pluck();
    this.#finished = db
      .prepare<[number], [number, number]>("SELECT job_id, dirty FROM job WHERE id = ?")
      .raw();
    this.#content = db.prepare<[Buffer, number], { job: number; id: number }>(
      `SELECT c.job, c.id FROM content c JOIN job j ON j.id = c.job WHERE c.identity = ? AND (c.job = ? OR j.dirty = 0)`,
    );
    this.#parts = db
      .prepare<[number, number], [number, Buffer]>(
        "SELECT seq, data FROM content_part WHERE content = ? AND seq > ? ORDER BY seq LIMIT 1",
      )
      .raw();
  }

  /** Newest first; with `below` only jobs with a lower local number. */
  list(query: JobQuery, below: LocalJob = 0): JobListing[] {
    const numbers = query.jobIds.filter(Number.isSafeInteger).join(",");
    const raws = this.#db
      .prepare<object, Raw>(`SELECT j.*, p.name AS pool_name FROM job j JOIN pool p ON p.id = j.pool
        WHERE j.status NOT IN ('D', 'G') AND (@client = '' OR j.client = @client) AND (@jobName = '' OR j.job_name = @jobName)
        AND (@fileSet = '' OR j.file_set = @fileSet) AND (@beforeMs = 0 OR (j.end_ms > 0 AND j.end_ms <= @beforeMs))
        AND (@below = 0 OR j.id < @below) ${numbers === "" ? "" : `AND j.job_id IN (${numbers})`}
        ORDER BY j.id DESC LIMIT @limit`)
      .all({ ...query, below, jobIds: undefined, limit: query.limit > 0 ? query.limit : -1 });
    const known = new Map<LocalJob, number>();
    return raws.map((raw) => this.#listing(raw, known));
  }

  /** UUIDs of those of these end records that this catalog is too old for: it has no such job, or not that revision. */
  unknownJobs(ends: readonly { uuid: string; revision: number }[]): string[] {
    const known = this.#db.prepare("SELECT 1 FROM job WHERE uuid = ? AND revision >= ?");
    return ends
      .filter(({ uuid, revision }) => known.get(uuid, revision) === undefined)
      .map(({ uuid }) => uuid);
  }

  /**
   * Where jobs with a local number above `after` lie, by that number and in the order of writing; with `jobIds` only
   * these. About `limit` rows, a job's never apart.
   */
  extents(after: LocalJob, jobIds: readonly number[], limit: number): JobExtentRow[] {
    const chosen = "(@jobIds = '[]' OR j.job_id IN (SELECT value FROM json_each(@jobIds)))";
    const numbers = { after, jobIds: JSON.stringify(jobIds), limit };
    return this.#db
      .prepare<object, JobExtentRow>(
        `SELECT j.id AS job, j.job_id AS jobId, v.volume AS mediaId, n.name AS volume, v.ord, v.first_offset AS firstOffset,
           v.end_offset AS endOffset, j.files
         FROM job_volume v JOIN job j ON j.id = v.job JOIN volume n ON n.id = v.volume
         WHERE v.job IN (SELECT DISTINCT w.job FROM job_volume w JOIN job j ON j.id = w.job
           WHERE w.job > @after AND j.status NOT IN ('D', 'G') AND ${chosen} ORDER BY w.job LIMIT @limit)
         ORDER BY v.job, v.ord`,
      )
      .all(numbers);
  }

  highestJobId(): number {
    return this.#db.prepare<[], number>("SELECT coalesce(max(job_id), 0) FROM job").pluck().get() ?? 0;
  }

  /** Where each chunk (32 bytes of digest) lies; an own copy of `job` before others, then one in its pool. */
  chunkPlaces(job: LocalJob, digests: Uint8Array): ContentPlace[][] {
    // One transaction: SQLite takes and gives back its locks once, not for every digest.
    return this.#db.transaction(() => this.#placesOf(job, asBuffer(digests)))();
  }

  #placesOf(job: LocalJob, all: Buffer): ContentPlace[][] {
    const jobIds = new Map<LocalJob, number | undefined>();
    const volumes = new Map<number, string | undefined>();
    const places: ContentPlace[][] = [];
    const own = this.#poolOf.get(job);
    for (let at = 0; at < all.length; at += DIGEST_BYTES) {
      const copies = this.#copies.all(all.subarray(at, at + DIGEST_BYTES));
      const [owner, frame] =
        copies.find((copy) => copy[0] === job) ??
        copies.find((copy) => copy[2] === own && this.#jobIdOfCopy(copy[0], job, jobIds) !== undefined) ??
        copies.find((copy) => this.#jobIdOfCopy(copy[0], job, jobIds) !== undefined) ??
        [];
      const jobId = owner === undefined ? undefined : this.#jobIdOfCopy(owner, job, jobIds);
      if (frame !== undefined && !volumes.has(frame)) volumes.set(frame, this.#frameVolume.get(frame));
      const volume = frame === undefined ? undefined : volumes.get(frame);
      places.push(jobId === undefined || volume === undefined ? [] : [{ jobId, volume }]);
    }
    return places;
  }

  /** The JobId when the copy counts: it is `own`, or of a finished job. */
  #jobIdOfCopy(job: LocalJob, own: LocalJob, known: Map<LocalJob, number | undefined>): number | undefined {
    if (!known.has(job)) {
      const [jobId, dirty] = this.#finished.get(job) ?? [0, 1];
      known.set(job, dirty === 0 || job === own ? jobId : undefined);
    }
    return known.get(job);
  }

  /** Segment `after` + 1 of a content's parts list; undefined behind the last. Begin with -1. */
  partsAfter(job: LocalJob, identity: Uint8Array, after: number): { seq: number; parts: Buffer } | undefined {
    const all = this.#content.all(asBuffer(identity), job);
    const found = all.find((content) => content.job === job) ?? all[0];
    const row = found === undefined ? undefined : this.#parts.get(found.id, after);
    if (row === undefined || row[1].length % PART_BYTES !== 0) return undefined;
    return { seq: row[0], parts: row[1] };
  }

  /** `known`: JobIds that were looked up for the same answer; neighbours lie over the same runs. */
  #listing(raw: Raw, known: Map<LocalJob, number>): JobListing {
    const record = toJob(raw);
    const numbers = (jobs: readonly LocalJob[]): number[] =>
      jobs.map((job) => {
        const number = known.get(job) ?? this.#layers.jobIdOf(job);
        known.set(job, number);
        return number;
      });
    const chain = this.#layers.chainOf(record.id);
    return {
      ...record,
      bases: numbers(this.#layers.ownBasesOf(chain[0] ?? record.id)),
      chain: numbers(chain),
      volumes: this.#volumes.all(record.id),
      extents: this.#extents.all(record.id),
      needs: this.#needs.all(record.id),
    };
  }
}

function toJob(raw: Raw): JobRecord {
  return {
    id: Number(raw.id),
    uuid: String(raw.uuid),
    jobId: Number(raw.job_id),
    jobName: String(raw.job_name),
    job: String(raw.job),
    client: String(raw.client),
    fileSet: String(raw.file_set),
    fileSetDigest: String(raw.file_set_digest),
    level: String(raw.level) as JobRecord["level"],
    type: String(raw.type) as JobRecord["type"],
    copyOf: String(raw.copy_of),
    prior: raw.prior === "[]" ? [] : (JSON.parse(String(raw.prior)) as string[]),
    status: String(raw.status) as JobRecord["status"],
    hasState: raw.has_state === 1,
    selfContained: raw.self_contained === 1,
    pool: String(raw.pool_name),
    scheduledMs: Number(raw.scheduled_ms),
    startMs: Number(raw.start_ms),
    endMs: Number(raw.end_ms),
    files: Number(raw.files),
    bytes: Number(raw.bytes),
    rows: Number(raw.rows),
    baseFiles: Number(raw.base_files),
    newContent: Number(raw.new_content),
    reason: String(raw.reason),
    comment: String(raw.comment),
    listDropped: raw.list_state !== 0,
  };
}
