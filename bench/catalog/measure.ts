/** What is asked of a large catalog, with the times it takes. */
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { writeEntries } from "../../common/format/frame.js";
import { BlockWriter, EntryType, emptyRow } from "../../common/format/row.js";
import { ByteWriter } from "../../common/format/varint.js";
import { NO_TOTALS } from "../../proto/data/backup.js";
import type { Catalog } from "../../storaged/catalog/catalog.js";
import type { FrameRow, VolumeRecord } from "../../storaged/catalog/types.js";
import { type Fleet, keysOf } from "./generate.js";

export interface Figure {
  what: string;
  value: string;
}

const REPEAT = 30;
const TOGETHER_MS = 20_000;
const JOBS_AT_ONCE = 8;
/** What a storage daemon puts into one call for a job. */
const ROWS_PER_CALL = 256;
const CALLS_PER_JOB = 40;
/** Jobs of each of those that store at once, made beforehand: making them is the file daemons' work. */
const PREPARED = 3;

/** Milliseconds of each call, and what they are like. */
class Times {
  readonly #all: number[] = [];

  async of<T>(work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.#all.push(performance.now() - started);
    }
  }

  toString(): string {
    const sorted = this.#all.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
    return `median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms (${sorted.length} calls)`;
  }
}

export async function measureAlone(catalog: Catalog, fleet: Fleet): Promise<Figure[]> {
  const figures: Figure[] = [{ what: "memory before", value: memory() }];
  const time = async (
    what: string,
    work: (i: number) => Promise<unknown>,
    repeat = REPEAT,
  ): Promise<void> => {
    const times = new Times();
    for (let i = 0; i < repeat; i++) await times.of(() => work(i));
    figures.push({ what, value: `${times}` });
    console.error(`  ${what}: ${times}`);
  };
  const newest = await newestRuns(catalog, fleet);
  await time("a directory of 500 in a restore tree", (i) =>
    listDirectory(catalog, newest[i % newest.length]!, pick(fleet, i)),
  );
  await time("a file by its whole path, one client", (i) =>
    find(catalog, `vm-${machine(i, fleet)}-fd`, pathOf(pick(fleet, i)), true),
  );
  await time(
    "files by a pattern, one client",
    (i) => find(catalog, `vm-${machine(i, fleet)}-fd`, "f0123", false),
    3,
  );
  await time("the last 20 jobs", () => listJobs(catalog, 20));
  await time("all jobs", () => listJobs(catalog, 0), 5);
  await time("first block of an accurate compare", (i) => startCompare(catalog, newest[i % newest.length]!));
  figures.push({ what: "memory after", value: memory() });
  await time(
    "deleting an Incremental",
    (i) => deleteNewest(catalog, newest[i]!),
    Math.min(10, newest.length),
  );
  figures.push({ what: "memory at the end", value: memory() });
  return figures;
}

/** Jobs that are stored at once, and a console that keeps asking. */
export async function measureTogether(catalog: Catalog, fleet: Fleet): Promise<Figure[]> {
  const [listing, jobs, writing, commits] = [new Times(), new Times(), new Times(), new Times()];
  const newest = await newestRuns(catalog, fleet);
  const [volume] = await catalog.reader.listVolumes("", "");
  const prepared = Array.from({ length: JOBS_AT_ONCE }, (_, number) =>
    Array.from({ length: PREPARED }, (_none, round) => prepare(volume!, `extra-${number}-${round}`)),
  );
  const until = performance.now() + TOGETHER_MS;
  const storing = prepared.map(async (jobs, number) => {
    for (let round = 0; performance.now() < until; round++)
      await store(catalog, jobs[round % PREPARED]!, round * JOBS_AT_ONCE + number, writing, commits);
  });
  const asking = (async () => {
    for (let i = 0; performance.now() < until; i++) {
      await listing.of(() => listDirectory(catalog, newest[i % newest.length]!, pick(fleet, i)));
      await jobs.of(() => listJobs(catalog, 20));
      await sleep(10);
    }
  })();
  await Promise.all([...storing, asking]);
  return [
    { what: "8 jobs stored at once: a directory", value: `${listing}` },
    { what: "8 jobs stored at once: the last 20 jobs", value: `${jobs}` },
    { what: "8 jobs stored at once: a call of a job", value: `${writing}` },
    { what: "8 jobs stored at once: a commit", value: `${commits}` },
    { what: "memory with 8 jobs", value: memory() },
  ];
}

async function newestRuns(catalog: Catalog, fleet: Fleet): Promise<number[]> {
  const none = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0 };
  const all = await catalog.reader.listJobs({ ...none, limit: fleet.machines * 2 });
  const byMachine = new Map<string, number>();
  for (const { jobName, jobId, status } of all)
    if (status === "T" && jobName.startsWith("vm-") && !byMachine.has(jobName)) byMachine.set(jobName, jobId);
  return [...byMachine.values()];
}

const pick = (fleet: Fleet, i: number): number => (i * 104_729) % fleet.entries;
const machine = (i: number, fleet: Fleet): string => String(i % fleet.machines).padStart(3, "0");
const pathOf = (i: number): string => `/${keysOf(i).file.replaceAll("\0", "/")}`;

async function listDirectory(catalog: Catalog, jobId: number, entry: number): Promise<number> {
  const { reader } = catalog;
  const range = { directory: keysOf(entry).directory, children: true, after: undefined, limit: 0 };
  const handle = await reader.openEntries({
    ...{ jobIds: [jobId], ownRows: false, deleted: false, rules: [], baseOnly: false },
    ...range,
  });
  let count = 0;
  for await (const page of catalog.pages(handle, reader.nextEntries)) count += page.length;
  if (count === 0) throw new Error("the directory is empty");
  return count;
}

async function find(catalog: Catalog, client: string, pattern: string, exact: boolean): Promise<number> {
  const { reader } = catalog;
  const handle = await reader.openFind({ client, pattern, exact, jobIds: [], limit: 0 });
  let count = 0;
  for await (const page of catalog.pages(handle, reader.nextFind)) count += page.length;
  return count;
}

function listJobs(catalog: Catalog, limit: number) {
  return catalog.listJobs({ jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit });
}

async function startCompare(catalog: Catalog, jobId: number): Promise<void> {
  const [job] = await catalog.reader.listJobs({
    jobIds: [jobId],
    client: "",
    jobName: "",
    fileSet: "",
    beforeMs: 0,
    limit: 1,
  });
  const locals = await catalog.reader.listJobs({
    jobIds: job!.chain,
    client: "",
    jobName: "",
    fileSet: "",
    beforeMs: 0,
    limit: 0,
  });
  for await (const block of catalog.blocks([job!.id, ...locals.map(({ id }) => id)])) {
    if (block.length > 0) return;
  }
}

async function deleteNewest(catalog: Catalog, jobId: number): Promise<void> {
  const [job] = await catalog.reader.listJobs({
    jobIds: [jobId],
    client: "",
    jobName: "",
    fileSet: "",
    beforeMs: 0,
    limit: 1,
  });
  await catalog.writer.doom([job!.id]);
  while (!(await catalog.writer.bury(job!.id)));
}

/** What one call of each kind carries. */
interface Step {
  digests: Uint8Array;
  frame: FrameRow;
  rows: Uint8Array;
}

interface Prepared {
  volume: VolumeRecord;
  steps: Step[];
}

function prepare(volume: VolumeRecord, name: string): Prepared {
  const steps = Array.from({ length: CALLS_PER_JOB }, (_, step) => {
    const digests = Array.from({ length: ROWS_PER_CALL }, (_none, i) =>
      createHash("sha256").update(`${name} ${step} ${i}`).digest(),
    );
    const all = new Uint8Array(Buffer.concat(digests));
    return { digests: all, frame: frameOf(volume.id, digests), rows: rowsOf(step, digests) };
  });
  return { volume, steps };
}

/** A run of a machine of its own: some new files, committed. */
async function store(
  { writer }: Catalog,
  { volume, steps }: Prepared,
  number: number,
  calls: Times,
  commits: Times,
): Promise<void> {
  const jobId = 1_000_000 + number;
  const name = `extra-${number}`;
  const facts = { jobName: name, job: name, client: name, fileSet: "All", fileSetDigest: "d", comment: "" };
  const times = { scheduledMs: 0, startMs: Date.now() };
  const rest = { level: "Full" as const, pool: "Scale", chain: [], bases: [], ownNewest: 0 };
  const job = await calls.of(() => writer.begin({ ...facts, ...times, ...rest, uuid: randomUUID(), jobId }));
  for (const { digests, frame, rows } of steps) {
    await calls.of(() => writer.addFrames(job.id, [frame]));
    await calls.of(() => writer.known(job.id, digests));
    await calls.of(() => writer.addRows(job.id, rows));
  }
  await writer.finishRows(job.id);
  const totals = { ...NO_TOTALS, bytesStored: 0, rawBytes: 0 };
  const extents = [{ volume: volume.id, firstOffset: volume.bytes, endOffset: volume.bytes + 1 }];
  await commits.of(() =>
    writer.commit({ job: job.id, status: "T", endMs: Date.now(), totals, extents, volumes: [] }),
  );
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

/** Resident memory of this process: both threads of the catalog are in it. */
function memory(): string {
  const status = readFileSync("/proc/self/status", "latin1");
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
  return `${Math.round(process.memoryUsage().rss / 1e6)} MB (peak ${Math.round(peak / 1000)} MB)`;
}
