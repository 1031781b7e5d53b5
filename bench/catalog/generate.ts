/**
 * Fills a catalog with the runs of a fleet, through the methods by which real jobs are stored, but without volumes:
 * every row is checked and counted as in a backup; only the frames that would hold the content do not exist.
 */
import { createHash, randomUUID } from "node:crypto";
import type { FrameEntry } from "../../common/format/frame.js";
import { writeEntries } from "../../common/format/frame.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { ByteWriter } from "../../common/format/varint.js";
import { NO_TOTALS } from "../../proto/data/backup.js";
import type { WriterMethods } from "../../storaged/catalog/catalog-worker.js";
import type { PoolDefinition } from "../../storaged/catalog/writer-pools.js";

/** A fleet. One machine's first run has `entries` entries, each later one changes `changes` of them. */
export interface Fleet {
  machines: number;
  runs: number;
  entries: number;
  changes: number;
}

export const FILE_BYTES = 4096;
const FILES_PER_DIRECTORY = 500;
const CHUNKS_PER_FRAME = 64;
const FRAMES_PER_CALL = 64;
/** Of the entries of a first run: the rest is content that all machines have. */
const OWN_PERCENT = 10;

const POOL: PoolDefinition = {
  ...{ name: "Scale", poolType: "Backup", deduplicate: true, dedupScope: "pool" },
  ...{ maximumVolumes: 0, maximumVolumeBytes: 0, maximumVolumeJobs: 0, volumeUseDuration: 0 },
  ...{ volumeRetention: 0, autoPrune: true, recycle: true, labelFormat: "Vol-" },
  ...{ scratchPool: "", recyclePool: "", nextPool: "", recycleOldestVolume: false },
  ...{ recycleCurrentVolume: false, purgeOldestVolume: false, truncateOnPurge: false },
};

/** Key of the directory of entry `i` and of the entry. */
export function keysOf(i: number): { directory: string; file: string } {
  const directory = `srv\0d${String(Math.floor(i / FILES_PER_DIRECTORY)).padStart(6, "0")}`;
  return { directory, file: `${directory}\0f${String(i % FILES_PER_DIRECTORY).padStart(4, "0")}` };
}

function digestOf(name: string): Buffer {
  return createHash("sha256").update(name).digest();
}

export class FleetWriter {
  readonly #writer: WriterMethods;
  readonly #fleet: Fleet;
  #jobId = 0;
  #volume = 0;
  #offset = 0;
  #entries = 0;
  /** Newest JobId and its chain, by machine. */
  readonly #chains: number[][] = [];

  constructor(writer: WriterMethods, fleet: Fleet) {
    this.#writer = writer;
    this.#fleet = fleet;
  }

  get entries(): number {
    return this.#entries;
  }

  prepare(): void {
    this.#writer.syncPools([POOL]);
    const facts = { name: "Scale-0001", pool: POOL.name, mediaType: "File", device: "FileStorage" };
    this.#volume = this.#writer.addVolume({
      ...facts,
      slot: 0,
      bytes: 512,
      labelMs: 1,
      uuid: randomUUID(),
    }).id;
  }

  /** One run of a machine: its Full, or an Incremental on what it has. */
  run(machine: number, run: number): number {
    this.#chains[machine] ??= [];
    const chain = this.#chains[machine];
    const jobId = ++this.#jobId;
    const { begin, commit } = this.#writer;
    const name = `vm-${String(machine).padStart(3, "0")}`;
    const facts = {
      jobName: name,
      client: `${name}-fd`,
      fileSet: "All",
      fileSetDigest: "d",
      pool: POOL.name,
    };
    const times = { scheduledMs: jobId * 1000, startMs: jobId * 1000, comment: "" };
    const level = chain.length === 0 ? "Full" : "Incremental";
    const newest = chain.at(-1) ?? 0;
    const job = { ...facts, ...times, uuid: randomUUID(), jobId, job: `${name}.${jobId}`, level } as const;
    const { id } = begin({ ...job, chain: [...chain], bases: [], ownNewest: newest });
    const first = this.#offset;
    this.#store(id, machine, run);
    this.#writer.finishRows(id);
    const totals = { ...NO_TOTALS, bytesStored: 0, rawBytes: 0 };
    const extents = [{ volume: this.#volume, firstOffset: first, endOffset: this.#offset }];
    const volumes = [{ volume: this.#volume, bytes: this.#offset, frames: 0, writtenMs: jobId * 1000 }];
    commit({ job: id, status: "T", endMs: jobId * 1000 + 1, totals, extents, volumes });
    chain.push(jobId);
    return jobId;
  }

  #store(id: number, machine: number, run: number): void {
    const { entries, changes } = this.#fleet;
    const indexes = run === 0 ? range(entries) : scattered(entries, changes, machine * 1009 + run);
    const digests = indexes.map((i) => this.#digest(i, machine, run));
    this.#addContent(id, indexes, digests, machine, run);
    this.#addRows(id, indexes, digests, run);
    if (run === 0) this.#addState(id);
  }

  #isOwn(i: number, run: number): boolean {
    return run > 0 || i % 100 < OWN_PERCENT;
  }

  #digest(i: number, machine: number, run: number): Buffer {
    return digestOf(this.#isOwn(i, run) ? `${machine} ${run} ${i}` : `common ${i}`);
  }

  #addContent(id: number, indexes: number[], digests: Buffer[], machine: number, run: number): void {
    const fresh = digests.filter((_, at) => (machine === 0 && run === 0) || this.#isOwn(indexes[at]!, run));
    let frames: Parameters<WriterMethods["addFrames"]>[1][number][] = [];
    for (let at = 0; at < fresh.length; at += CHUNKS_PER_FRAME) {
      frames.push(this.#frame(fresh.slice(at, at + CHUNKS_PER_FRAME)));
      if (frames.length < FRAMES_PER_CALL) continue;
      this.#writer.addFrames(id, frames);
      frames = [];
    }
    if (frames.length > 0) this.#writer.addFrames(id, frames);
  }

  #frame(digests: readonly Buffer[]) {
    const out = new ByteWriter(4096);
    const entries: FrameEntry[] = digests.map((digest, i) => {
      return { digest, offset: i * (FILE_BYTES + 512) + 512, length: FILE_BYTES };
    });
    writeEntries(out, entries);
    const rawBytes = digests.length * (FILE_BYTES + 512);
    const bytes = Math.floor(rawBytes / 3);
    const offset = this.#offset;
    this.#offset += bytes;
    return { volume: this.#volume, offset, bytes, rawBytes, entries: new Uint8Array(out.bytes()) };
  }

  #addRows(id: number, indexes: readonly number[], digests: readonly Buffer[], run: number): void {
    const block = new BlockWriter({ state: false });
    const put = (row: Row): void => {
      block.add(row);
      this.#entries++;
      if (block.full) this.#writer.addRows(id, new Uint8Array(block.finish()));
    };
    let directory = "";
    if (run === 0) for (const key of ["", "srv"]) put({ ...emptyRow(key, EntryType.directory), mode: 0o755 });
    for (const [at, i] of indexes.entries()) {
      const keys = keysOf(i);
      if (run === 0 && keys.directory !== directory) {
        directory = keys.directory;
        put({ ...emptyRow(directory, EntryType.directory), mode: 0o755, mtimeSec: 1_700_000_000 });
      }
      const times = { mode: 0o644, mtimeSec: 1_700_000_000 + run, mtimeNsec: i };
      put({ ...emptyRow(keys.file, EntryType.file), ...times, size: FILE_BYTES, content: digests[at]! });
    }
    if (block.rows > 0) this.#writer.addRows(id, new Uint8Array(block.finish()));
  }

  #addState(id: number): void {
    const block = new BlockWriter({ state: true });
    for (let i = 0; i < this.#fleet.entries; i++) {
      const state = { ctimeSec: 1_700_000_000, ctimeNsec: i, inode: i + 10, links: 1 };
      block.add({ ...emptyRow(keysOf(i).file, EntryType.deleted), state });
      if (block.full) this.#writer.addState(id, new Uint8Array(block.finish()));
    }
    if (block.rows > 0) this.#writer.addState(id, new Uint8Array(block.finish()));
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** `wanted` different numbers below `count`, ascending, the same ones for the same seed. */
function scattered(count: number, wanted: number, seed: number): number[] {
  const step = count / wanted;
  return range(wanted).map((i) =>
    Math.floor(i * step + ((i * 7919 + seed * 104_729) % 1000) * (step / 1000)),
  );
}
