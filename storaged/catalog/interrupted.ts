/**
 * Jobs in whose middle the storage daemon was killed. With each checkpoint of a job that may be kept the writing thread
 * notes how far it is safe; the next start takes away what came behind that and ends the job there, as one that was
 * stopped (storaged/session/keep-interrupted.ts). Without a checkpoint, or when its end was begun, it has failed.
 */

import { BackupError } from "../../common/errors.js";
import type { InterruptedJob, JobCheckpoint } from "./checkpoint-types.js";
import { type Budget, FrameRemoval, type StoredFrame } from "./frame-removal.js";
import { incompleteRun } from "./incomplete.js";
import { poolByName } from "./pool-queries.js";
import type { Db } from "./schema.js";
import type { JobCounts, LocalJob } from "./types.js";
import { type Contexts, type JobContext, newContext } from "./writer-context.js";
import type { Draw, Need } from "./writer-needs.js";

/** What the writing thread has of a job in memory only. */
interface ContextFacts {
  counts: JobCounts;
  needs: [volume: number, need: Need][];
  draws: [key: string, draw: Draw][];
  /** Contents in parts that had not ended. */
  open: number[];
}

interface CheckpointRow {
  job: LocalJob;
  kept_to: Buffer;
  frame: number;
  content: number;
  rows: number;
  states: number;
  facts: string;
  session: string;
}

/** The jobs that `takeUp` may be asked for. */
const INTERRUPTED = "SELECT c.job FROM job_checkpoint c JOIN job j ON j.id = c.job";

export class InterruptedStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #removal: FrameRemoval;

  constructor(db: Db, contexts: Contexts) {
    this.#db = db;
    this.#contexts = contexts;
    this.#removal = new FrameRemoval(db);
  }

  /** Part of the durable transaction of a checkpoint; everything that it speaks of was synced before. */
  note({ job, keptTo, session }: JobCheckpoint): void {
    const { counts, needs, draws, contents, rows, states } = this.#contexts.get(job);
    const open = [...contents.values()].map(({ id }) => id);
    const facts: ContextFacts = { counts, needs: [...needs], draws: [...draws], open };
    this.#db
      .prepare(`INSERT OR REPLACE INTO job_checkpoint VALUES (@job, @keptTo,
        (SELECT coalesce(max(id), 0) FROM frame WHERE job = @job),
        (SELECT coalesce(max(id), 0) FROM content WHERE job = @job), @rows, @states, @facts, @session)`)
      .run({
        ...{ job, keptTo: Buffer.from(keptTo, "latin1"), rows: rows.blocks, states: states.blocks },
        ...{ facts: JSON.stringify(facts), session: JSON.stringify(session) },
      });
  }

  /** At the start, once jobs without a checkpoint have failed. */
  list(): LocalJob[] {
    return this.#db.prepare<[], number>(`${INTERRUPTED} WHERE j.status = 'R'`).pluck().all();
  }

  /** Removes a part of what came behind the checkpoint; true when nothing is left of that. */
  trim(job: LocalJob): boolean {
    const mark = this.#row(job);
    return this.#removal.step((budget) => {
      if (!this.#trimFrames(mark, budget)) return false;
      const { open } = JSON.parse(mark.facts) as ContextFacts;
      const parts = this.#db.prepare("DELETE FROM content_part WHERE content = ?");
      const content = this.#db.prepare("DELETE FROM content WHERE id = ?");
      const later = this.#db
        .prepare<[number, number], number>("SELECT id FROM content WHERE job = ? AND id > ? LIMIT 1")
        .pluck();
      const remove = (id: number) => {
        parts.run(id);
        content.run(id);
      };
      // A content that ended later names parts that are gone. So many can be open at most (MAX_OPEN_CONTENTS).
      for (const id of open) remove(id);
      for (let id = later.get(job, mark.content); id !== undefined; id = later.get(job, mark.content)) {
        remove(id);
        if (budget.left-- <= 0) return false;
      }
      this.#db.prepare("DELETE FROM list_block WHERE job = ? AND seq >= ?").run(job, mark.rows);
      this.#db.prepare("DELETE FROM state_block WHERE job = ? AND seq >= ?").run(job, mark.states);
      return true;
    });
  }

  #trimFrames({ job, frame: last }: CheckpointRow, budget: Budget): boolean {
    const next = this.#db.prepare<[number, number], StoredFrame>(
      "SELECT id, job, raw_bytes, entries FROM frame WHERE job = ? AND id > ? LIMIT 1",
    );
    while (budget.left > 0) {
      const frame = next.get(job, last);
      if (frame === undefined) return true;
      if (!this.#removal.removeChunks(frame, budget)) return false;
      this.#removal.removeFrame(frame, budget);
    }
    return false;
  }

  /** The job runs again, as at its checkpoint: it can be closed and committed, or failed. */
  takeUp(job: LocalJob): InterruptedJob {
    const { kept_to, facts, session, rows, states } = this.#row(job);
    const { jobId, poolName, client, selfContained, revision } = this.#facts(job);
    const pool = poolByName(this.#db, poolName)!;
    const parents = this.#uuids("job_parent", "parent", job);
    // Later runs reach Bases through their Full.
    const bases = this.#uuids("job_base", "base_job", parents[0]?.id ?? job);
    const { counts, needs, draws } = JSON.parse(facts) as ContextFacts;
    const context: JobContext = {
      ...newContext({
        ...{ id: job, list: job, pool: pool.id, client, deduplicate: pool.deduplicate },
        ...{
          selfContained: selfContained === 1,
          earlier: new Set(),
          clientOnly: pool.dedupScope === "client",
        },
        ...{ pools: new Set([pool.id]), clients: new Set([client]) },
        layers: new Set([...parents, ...bases].map(({ id }) => id)),
      }),
      ...{ counts, needs: new Map(needs), draws: new Map(draws), pinned: new Set(needs.map(([id]) => id)) },
    };
    for (const { volume } of this.#volumes(job)) context.pinned.add(volume);
    context.rows.blocks = rows;
    context.states.blocks = states;
    this.#contexts.add(context);
    return {
      ...{ id: job, pool, selfContained: selfContained === 1, revision, session: JSON.parse(session) },
      ...{ keptTo: kept_to.latin1Slice(), earlierTo: incompleteRun(this.#db, jobId)?.last },
      chainUuids: parents.map(({ uuid }) => uuid),
      baseUuids: bases.map(({ uuid }) => uuid),
    };
  }

  #row(job: LocalJob): CheckpointRow {
    const row = this.#db
      .prepare<[number], CheckpointRow>("SELECT * FROM job_checkpoint WHERE job = ?")
      .get(job);
    if (row === undefined) throw new BackupError("JOB_NOT_RUNNING", "the job has no checkpoint any more");
    return row;
  }

  #facts(job: LocalJob) {
    return this.#db
      .prepare<
        [number],
        { jobId: number; poolName: string; client: string; selfContained: number; revision: number }
      >(`SELECT job_id AS jobId, p.name AS poolName, client, self_contained AS selfContained, revision
         FROM job j JOIN pool p ON p.id = j.pool WHERE j.id = ?`)
      .get(job)!;
  }

  #uuids(table: string, column: string, job: LocalJob): { id: LocalJob; uuid: string }[] {
    return this.#db
      .prepare<[number], { id: LocalJob; uuid: string }>(
        `SELECT o.id, o.uuid FROM ${table} r JOIN job o ON o.id = r.${column} WHERE r.job = ? ORDER BY r.ord`,
      )
      .all(job);
  }

  #volumes(job: LocalJob): { volume: number }[] {
    return this.#db
      .prepare<[number], { volume: number }>("SELECT DISTINCT volume FROM frame WHERE job = ?")
      .all(job);
  }
}

/** The job has ended, in whatever way. Part of the caller's transaction; true when there was a checkpoint. */
export function dropCheckpoint(db: Db, job: LocalJob): boolean {
  return db.prepare("DELETE FROM job_checkpoint WHERE job = ?").run(job).changes > 0;
}
