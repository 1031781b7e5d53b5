/** Eight jobs that store at once, and a console that keeps asking. */
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { writeEntries } from "../../common/format/frame.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { ByteWriter } from "../../common/format/varint.js";
import { NO_TOTALS } from "../../proto/data/backup.js";
import type { Catalog } from "../../storaged/catalog/catalog.js";
import type { FrameRow, VolumeRecord } from "../../storaged/catalog/types.js";
import type { Fleet } from "./generate.js";
import { type Figure, listDirectory, listJobs, memory, newestRuns, pick, Times } from "./measure.js";

const TOGETHER_MS = 15_000;
const JOBS_AT_ONCE = 8;
/** New files per second of all jobs: more than file daemons on two cores read, compress and send. */
const PACED_ROWS_PER_SECOND = 10_000;
/** What a storage daemon puts into one call for a job. */
const CHUNKS_PER_CALL = 256;
const ROWS_PER_CALL = 512;
/** Calls with rows of a job; as many with chunks as it takes for each row to have one. */
const ROW_CALLS_PER_JOB = 20;
/** Jobs of each of those that store at once, made beforehand: making them is the file daemons' work. */
const PREPARED = 3;

/**
 * Jobs that are stored at once, and a console that keeps asking: first as fast as two cores take in new files, then
 * without any pause.
 */
export async function measureTogether(catalog: Catalog, fleet: Fleet): Promise<Figure[]> {
  const [volume] = await catalog.reader.listVolumes("", "");
  const prepared = Array.from({ length: JOBS_AT_ONCE }, (_, number) =>
    Array.from({ length: PREPARED }, (_none, round) => prepare(volume!, `extra-${number}-${round}`)),
  );
  const numbers = jobNumbers();
  const setting = { catalog, fleet, prepared, numbers };
  const paced = await together(setting, "8 jobs, 10,000 rows/s", PACED_ROWS_PER_SECOND);
  return [...paced, ...(await together(setting, "8 jobs without pause", Infinity))];
}

function* jobNumbers(): Generator<number, never> {
  for (let number = 1_000_000; ; number++) yield number;
}

interface Setting {
  catalog: Catalog;
  fleet: Fleet;
  /** Jobs of each of those that store at once. */
  prepared: readonly Prepared[][];
  /** JobIds. */
  numbers: Generator<number, never>;
}

async function together(setting: Setting, title: string, rowsPerSecond: number): Promise<Figure[]> {
  const { catalog, fleet, prepared, numbers } = setting;
  const [listing, jobs, writing, commits] = [new Times(), new Times(), new Times(), new Times()];
  const newest = await newestRuns(catalog);
  const started = performance.now();
  const until = started + TOGETHER_MS;
  let rows = 0;
  const stepMs = (1000 * JOBS_AT_ONCE * ROWS_PER_CALL) / rowsPerSecond;
  const storing = prepared.map(async (jobs, number) => {
    // Not all of them at the same moment.
    const pace = new Pace(stepMs, (stepMs * number) / JOBS_AT_ONCE);
    for (let round = 0; performance.now() < until; round++) {
      const count = await store(catalog, jobs[round % PREPARED]!, numbers.next().value, {
        pace,
        until,
        writing,
        commits,
      });
      rows += count;
    }
  });
  const asking = (async () => {
    for (let i = 0; performance.now() < until; i++) {
      await listing.of(() => listDirectory(catalog, newest[i % newest.length]!, pick(fleet, i)));
      await jobs.of(() => listJobs(catalog, 20));
      await sleep(10);
    }
  })();
  await Promise.all([...storing, asking]);
  const rate = Math.round((rows * 1000) / (performance.now() - started));
  return [
    { what: `${title}: a directory`, value: `${listing}` },
    { what: `${title}: the last 20 jobs`, value: `${jobs}` },
    { what: `${title}: a call of a job`, value: `${writing}` },
    { what: `${title}: a commit`, value: `${commits}` },
    { what: `${title}: stored`, value: `${rate} rows/s with a new chunk each` },
    { what: `${title}: memory`, value: memory() },
  ];
}

/** Keeps steps so many milliseconds apart; none when that is 0. */
class Pace {
  readonly #stepMs: number;
  #next: number;

  constructor(stepMs: number, offsetMs: number) {
    this.#stepMs = stepMs;
    this.#next = performance.now() + offsetMs;
  }

  async turn(): Promise<void> {
    const wait = this.#next - performance.now();
    this.#next += this.#stepMs;
    if (wait > 0) await sleep(wait);
  }
}

/** What one call with rows carries, and the calls with their chunks. */
interface Step {
  frames: { digests: Uint8Array; frame: FrameRow }[];
  rows: Uint8Array;
}

interface Prepared {
  volume: VolumeRecord;
  steps: Step[];
}

function prepare(volume: VolumeRecord, name: string): Prepared {
  const steps = Array.from({ length: ROW_CALLS_PER_JOB }, (_, step) => {
    const digests = Array.from({ length: ROWS_PER_CALL }, (_none, i) =>
      createHash("sha256").update(`${name} ${step} ${i}`).digest(),
    );
    const frames = [];
    for (let at = 0; at < digests.length; at += CHUNKS_PER_CALL) {
      const some = digests.slice(at, at + CHUNKS_PER_CALL);
      frames.push({ digests: new Uint8Array(Buffer.concat(some)), frame: frameOf(volume.id, some) });
    }
    return { frames, rows: rowsOf(step, digests) };
  });
  return { volume, steps };
}

/** A run of a machine of its own: some new files, committed. How many. */
async function store(
  { writer }: Catalog,
  { volume, steps }: Prepared,
  jobId: number,
  { pace, until, writing, commits }: { pace: Pace; until: number; writing: Times; commits: Times },
): Promise<number> {
  const name = `extra-${jobId}`;
  const facts = { jobName: name, job: name, client: name, fileSet: "All", fileSetDigest: "d", comment: "" };
  const times = { scheduledMs: 0, startMs: Date.now() };
  const rest = { level: "Full" as const, pool: "Scale", chain: [], bases: [], ownNewest: 0 };
  const job = await writing.of(() =>
    writer.begin({ ...facts, ...times, ...rest, uuid: randomUUID(), jobId }),
  );
  let stored = 0;
  for (const { frames, rows } of steps) {
    await pace.turn();
    if (performance.now() > until) break;
    for (const { digests, frame } of frames) {
      await writing.of(() => writer.addFrames(job.id, [frame]));
      await writing.of(() => writer.known(job.id, digests));
    }
    await writing.of(() => writer.addRows(job.id, rows));
    stored += ROWS_PER_CALL;
  }
  await writer.finishRows(job.id);
  const totals = { ...NO_TOTALS, bytesStored: 0, rawBytes: 0 };
  const extents = [{ volume: volume.id, firstOffset: volume.bytes, endOffset: volume.bytes + 1 }];
  await commits.of(() =>
    writer.commit({ job: job.id, status: "T", endMs: Date.now(), totals, extents, volumes: [] }),
  );
  return stored;
}

function frameOf(volume: number, digests: readonly Buffer[]): FrameRow {
  const out = new ByteWriter(32_768);
  writeEntries(
    out,
    digests.map((digest, i) => ({ digest, offset: i * 1024, length: 512 })),
  );
  return {
    volume,
    offset: 0,
    bytes: 100_000,
    rawBytes: digests.length * 1024,
    entries: new Uint8Array(out.bytes()),
  };
}

function rowsOf(step: number, digests: readonly Buffer[]): Uint8Array {
  const block = new BlockWriter({ state: false });
  for (const [i, content] of digests.entries()) {
    const key = `s${String(step).padStart(3, "0")}\0f${String(i).padStart(4, "0")}`;
    block.add({ ...emptyRow(key, EntryType.file), mode: 0o644, mtimeSec: 1, size: 512, content });
  }
  return new Uint8Array(block.finish());
}
