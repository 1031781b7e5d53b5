/** Volumes and jobs into the catalog, with the frames and chunks that count. Lists come later (load-list.ts). */
import { readEntries } from "../../common/format/frame.js";
import { ByteReader } from "../../common/format/varint.js";
import type { Db } from "../catalog/schema.js";
import { type JobEndRecord, priorOf } from "../volume/records.js";
import { isEnded, type JobPlan } from "./decide.js";
import { type PoolTable, poolOfLabel } from "./pools.js";
import { FRAME_GOOD } from "./scratch.js";

/** Frames stored in one transaction. */
const STEP_FRAMES = 256;

interface FrameRow {
  local: number;
  offset: number;
  seq: number;
  bytes: number;
  raw_bytes: number;
  entries: Buffer;
  chunks: number;
}

/** Inserts volumes in the order of their labels; those that the catalog has already keep what it says. */
export function loadVolumes(scratch: Db, db: Db, pools: PoolTable): void {
  const insert =
    db.prepare(`INSERT INTO volume(name, pool, media_type, device, status, enabled, bytes, frames, jobs,
    errors, label_ms, first_written_ms, last_written_ms, retention, recycle, max_bytes, max_jobs, use_duration, slot,
    in_changer, uuid, record_end, truncate_on_purge, recycle_pool) VALUES (@name, @poolId, @media_type, @device, 'Used', 1,
    @bytes, 0, 0, @damaged, @created_ms, 0, 0, @volumeRetention, @recycle, @maximumVolumeBytes, @maximumVolumeJobs,
    @volumeUseDuration, 0, 0, @uuid, @bytes, @truncateOnPurge, @recyclePool)`);
  const known = db.prepare<[string], number>("SELECT id FROM volume WHERE name = ?").pluck();
  const note = scratch.prepare("UPDATE volume SET local = ?, present = ? WHERE id = ?");
  type Row = { id: number; name: string; pool: string; label: string };
  const rows = scratch.prepare<[], Row>("SELECT * FROM volume ORDER BY created_ms, name").all();
  for (const { pool, label } of rows) pools.idOf(pool, () => poolOfLabel(pool, JSON.parse(label)));
  db.transaction(() => {
    for (const row of rows) {
      const there = known.get(row.name);
      if (there !== undefined) {
        note.run(there, 1, row.id);
        continue;
      }
      const pool = poolOfLabel(row.pool, JSON.parse(row.label));
      const { volumeRetention, maximumVolumeBytes, maximumVolumeJobs, volumeUseDuration, recyclePool } = pool;
      const limits = {
        volumeRetention,
        maximumVolumeBytes,
        maximumVolumeJobs,
        volumeUseDuration,
        recyclePool,
      };
      const flags = { recycle: pool.recycle ? 1 : 0, truncateOnPurge: pool.truncateOnPurge ? 1 : 0 };
      const { id: _id, pool: _pool, label: _label, ...facts } = row as Row & Record<string, unknown>;
      const { path: _path, local: _local, present: _present, ...columns } = facts as Record<string, unknown>;
      const poolId = pools.idOf(row.pool);
      note.run(insert.run({ ...columns, ...limits, ...flags, poolId }).lastInsertRowid, 0, row.id);
    }
  })();
}

/** Writes the rows of jobs and of the frames that count. */
export class JobLoader {
  readonly #scratch: Db;
  readonly #db: Db;
  readonly #pools: PoolTable;
  readonly #insertFrame;
  readonly #insertChunk;
  readonly #frameAt;

  constructor(scratch: Db, db: Db, pools: PoolTable) {
    this.#scratch = scratch;
    this.#db = db;
    this.#pools = pools;
    this.#insertFrame = db.prepare(
      "INSERT INTO frame(job, volume, offset, bytes, raw_bytes, entries) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#insertChunk = db.prepare("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?, ?, ?, ?, 0)");
    this.#frameAt = db.prepare("SELECT 1 FROM frame WHERE volume = ? AND offset = ?");
  }

  /** Makes the record of a job; `pool` when its own record does not say it. Gives its number in the catalog. */
  addJob(plan: JobPlan, pool: string, status: string, reason: string): number {
    const { record } = plan;
    const end = isEnded(plan) ? (plan.record as JobEndRecord) : undefined;
    const text = (key: string) => (typeof record[key] === "string" ? (record[key] as string) : "");
    const totals = typeof end?.totals === "object" && end.totals !== null ? end.totals : {};
    const baseFiles = (totals as { baseFiles?: unknown }).baseFiles;
    const scheduled = Number.isSafeInteger(record.scheduledMs) ? (record.scheduledMs as number) : 0;
    const values = {
      uuid: record.jobUuid,
      jobId: record.jobId,
      jobName: record.jobName,
      job: record.job,
      client: record.client,
      fileSet: record.fileSet,
      fileSetDigest: text("fileSetDigest"),
      level: record.level,
      status,
      self: end?.selfContained === true ? 1 : 0,
      pool: this.#pools.idOf(text("pool") || pool),
      scheduled,
      startMs: record.startMs,
      endMs: end?.endMs ?? 0,
      files: end?.files ?? 0,
      bytes: end?.bytes ?? 0,
      rows: end?.rows ?? 0,
      baseFiles: Number.isSafeInteger(baseFiles) ? (baseFiles as number) : 0,
      totals: JSON.stringify(totals),
      reason,
      comment: text("comment"),
      type: ["C", "I"].includes(text("type")) ? text("type") : "B",
      copyOf: text("copyOf"),
      prior: JSON.stringify(priorOf(record)),
      // A run without an end may have left a list of that revision, cut off.
      revision: Number.isSafeInteger(record.revision) ? (record.revision as number) : 1,
    };
    const { lastInsertRowid } = this.#db
      .prepare(`INSERT INTO job(uuid, job_id, job_name, job, client, file_set, file_set_digest, level, status, dirty,
        has_state, self_contained, pool, scheduled_ms, start_ms, end_ms, files, bytes, rows, base_files, new_content,
        totals, reason, comment, type, copy_of, prior, revision) VALUES (@uuid, @jobId, @jobName, @job, @client, @fileSet,
        @fileSetDigest, @level, @status, 0, 0, @self, @pool, @scheduled, @startMs, @endMs, @files, @bytes, @rows,
        @baseFiles, 0, @totals, @reason, @comment, @type, @copyOf, @prior, @revision)`)
      .run(values);
    return Number(lastInsertRowid);
  }

  /** A deleted job is kept again. Its list is stored under its own number, wherever the one that went lay. */
  revive(local: number, status: string): void {
    const facts = "status = ?, list_turn = 0, list_old = 0, list_state = 0";
    this.#db.prepare(`UPDATE job SET ${facts} WHERE id = ?`).run(status, local);
  }

  /**
   * Frames of a job, each once though it may lie at several places: of those the one on the newest volume, to which
   * it was moved. `closing`: numbers of its closing frames in force. `volumes`: only there (scratch numbers).
   */
  addFrames(
    job: number,
    local: number,
    closing: readonly [number, number],
    volumes?: readonly number[],
  ): number {
    const pool = this.#db.prepare<[number], number>("SELECT pool FROM job WHERE id = ?").pluck().get(local)!;
    const only = volumes === undefined ? "" : `AND f.volume IN (${volumes.map(Number).join(",")})`;
    const rows = this.#scratch
      .prepare<[number], FrameRow>(`SELECT v.local, f.offset, f.seq, f.bytes, f.raw_bytes, f.entries, f.chunks
        FROM frame f JOIN volume v ON v.id = f.volume
        JOIN segment s ON s.volume = f.volume AND s.segment = f.segment
        WHERE f.job = ? AND f.state = ${FRAME_GOOD} AND (f.chunks > 0 OR s.trusted = 1) ${only}
        ORDER BY f.seq, v.created_ms DESC, v.id DESC`)
      .iterate(job);
    const [first, count] = closing;
    let previous = -1;
    let added = 0;
    let step: FrameRow[] = [];
    for (const row of rows) {
      const counts = row.chunks > 0 || (row.seq >= first && row.seq < first + count);
      if (!counts || row.seq === previous) continue;
      previous = row.seq;
      step.push(row);
      added++;
      if (step.length === STEP_FRAMES) {
        this.#store(local, pool, step);
        step = [];
      }
    }
    this.#store(local, pool, step);
    return added;
  }

  /** The frame at a place on a volume (of the catalog) is there already. */
  hasFrame(volume: number, offset: number): boolean {
    return this.#frameAt.get(volume, offset) !== undefined;
  }

  /** The frame at a place (volume of the scratch database), whatever else of its job counts; false without one. */
  addFrame(local: number, volume: number, offset: number): boolean {
    const pool = this.#db.prepare<[number], number>("SELECT pool FROM job WHERE id = ?").pluck().get(local);
    const row = this.#scratch
      .prepare<
        [number, number],
        FrameRow
      >(`SELECT v.local, f.offset, f.seq, f.bytes, f.raw_bytes, f.entries, f.chunks
        FROM frame f JOIN volume v ON v.id = f.volume WHERE f.volume = ? AND f.offset = ?`)
      .get(volume, offset);
    if (pool === undefined || row === undefined) return false;
    this.#store(local, pool, [row]);
    return true;
  }

  #store(local: number, pool: number, frames: readonly FrameRow[]): void {
    this.#db.transaction(() => {
      const chunks: { digest: Buffer; offset: number; length: number; frame: number }[] = [];
      for (const row of frames) {
        if (this.#frameAt.get(row.local, row.offset) !== undefined) continue;
        const { lastInsertRowid } = this.#insertFrame.run(
          local,
          row.local,
          row.offset,
          row.bytes,
          row.raw_bytes,
          row.entries,
        );
        const frame = Number(lastInsertRowid);
        for (const entry of readEntries(new ByteReader(row.entries), row.raw_bytes))
          chunks.push({ ...entry, frame });
      }
      chunks.sort((a, b) => Buffer.compare(a.digest, b.digest));
      for (const { digest, frame, offset, length } of chunks)
        this.#insertChunk.run(digest, pool, local, frame, offset, length);
    })();
  }
}
