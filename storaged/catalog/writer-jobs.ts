/** Begin, commit and failure of jobs, on the writing thread. */

import { BackupError } from "../../common/errors.js";
import type { JobCheckpoint } from "./checkpoint-types.js";
import { shareHealed } from "./damage.js";
import {
  attemptsOf,
  forgetFailed,
  type IncompleteRun,
  incompleteRun,
  keptToJson,
  nextRevision,
  refuseTwice,
  retireIncomplete,
} from "./incomplete.js";
import { dropCheckpoint, type InterruptedStore } from "./interrupted.js";
import { LayerQueries } from "./layers.js";
import { removeBlocks } from "./list-number.js";
import { poolByName, poolIsEmpty } from "./pool-queries.js";
import { type Db, durably } from "./schema.js";
import type {
  BegunJob,
  CommitRequest,
  JobCounts,
  JobExtent,
  ListSource,
  LocalJob,
  NewJob,
  VolumeProgress,
} from "./types.js";
import { type Contexts, type JobContext, newContext } from "./writer-context.js";
import type { Needs } from "./writer-needs.js";
import type { PartsStore } from "./writer-parts.js";

export class JobStore {
  readonly #db: Db;
  readonly #contexts: Contexts;
  readonly #parts: PartsStore;
  readonly #layers: LayerQueries;
  readonly #needs: Needs;
  readonly #interrupted: InterruptedStore;

  constructor(db: Db, contexts: Contexts, parts: PartsStore, needs: Needs, interrupted: InterruptedStore) {
    this.#interrupted = interrupted;
    this.#needs = needs;
    this.#db = db;
    this.#contexts = contexts;
    this.#parts = parts;
    this.#layers = new LayerQueries(db);
  }

  /**
   * Records a running job with its frozen parents and pins what it may be told is known.
   * @throws BackupError POOL_UNKNOWN, NOT_FOUND (a parent), JOB_EXISTS; JOB_COMMITTED, JOB_RUNS (another attempt)
   */
  begin(job: NewJob): BegunJob {
    const pool = poolByName(this.#db, job.pool);
    if (pool === undefined)
      throw new BackupError("POOL_UNKNOWN", `Pool "${job.pool}" is not known to this storage`);
    refuseTwice(this.#db, job);
    const chain = this.#chainTo(job.chain.at(-1));
    const bases = job.bases.map((jobId) => this.#layers.local(jobId));
    const own = job.ownNewest > 0 ? this.#layers.local(job.ownNewest) : undefined;
    const resumed = job.resume === true ? incompleteRun(this.#db, job.jobId) : undefined;
    const whole = job.level === "Full" || job.level === "Base";
    // Without deduplication a Full stands on its own volumes; only with Bases the own list keeps it from trusting
    // them where the machine itself knows better.
    const offerOwn = own !== undefined && (!whole || pool.deduplicate || bases.length > 0);
    const alone = whole && bases.length === 0 && !offerOwn && resumed === undefined;
    const selfContained = alone && (!pool.deduplicate || poolIsEmpty(this.#db, pool.id));
    const { id, revision } = durably(this.#db, () => {
      const next = nextRevision(this.#db, job);
      forgetFailed(this.#db, job);
      const facts = { poolId: pool.id, self: selfContained ? 1 : 0, revision: next };
      return { id: this.#insert(job, facts, chain, bases), revision: next };
    });
    const source = (jobId: number, local: LocalJob): ListSource => ({
      jobId,
      layers: this.#layers.effective(local).jobs,
    });
    const ownSource = offerOwn ? source(job.ownNewest, own) : undefined;
    const begun: BegunJob = {
      id,
      pool,
      selfContained,
      chain: chain.length === 0 ? undefined : source(job.chain.at(-1)!, chain.at(-1)!),
      bases: whole ? bases.map((base, i) => source(job.bases[i]!, base)) : [],
      compared: job.compared ? source(job.compared, this.#layers.local(job.compared)) : undefined,
      own: resumed === undefined ? ownSource : this.#resumedList(job.jobId, resumed, ownSource),
      chainUuids: chain.map((parent) => this.#uuidOf(parent)),
      baseUuids: bases.map((base) => this.#uuidOf(base)),
      revision,
      resumed: resumed && { last: resumed.last, volumes: this.#volumesOf(resumed.id) },
    };
    const earlier = resumed === undefined ? [] : attemptsOf(this.#db, job);
    this.#contexts.add(this.#context(job, begun, new Set(earlier)));
    return begun;
  }

  /** The list of an incomplete run as far as it came; behind that, the one that would vouch without it. */
  #resumedList(jobId: number, { id, last }: IncompleteRun, own: ListSource | undefined): ListSource {
    const { jobs: layers } = this.#layers.effective(id);
    return { jobId, layers, spliced: { last, layers: own?.layers ?? [] } };
  }

  #volumesOf(job: LocalJob): string[] {
    return this.#db
      .prepare<[number], string>(
        "SELECT DISTINCT v.name FROM job_volume j JOIN volume v ON v.id = j.volume WHERE j.job = ? ORDER BY j.ord",
      )
      .pluck()
      .all(job);
  }

  /**
   * The newest run that a job builds on, with all that lies below it now. What the director was told may be out of
   * date: were a run below that the newest one has been rebased away from, what was deleted would come back.
   */
  #chainTo(newest: number | undefined): LocalJob[] {
    if (newest === undefined) return [];
    const last = this.#layers.local(newest);
    return [...this.#layers.chainOf(last), last];
  }

  #insert(
    job: NewJob,
    facts: { poolId: number; self: number; revision: number },
    chain: LocalJob[],
    bases: LocalJob[],
  ): LocalJob {
    if (this.#db.prepare("SELECT 1 FROM job WHERE uuid = ?").get(job.uuid) !== undefined) {
      throw new BackupError("JOB_EXISTS", `JobId ${job.jobId} was given to this storage before`);
    }
    const { lastInsertRowid } = this.#db
      .prepare(`INSERT INTO job(uuid, job_id, job_name, job, client, file_set, file_set_digest, level, status, dirty,
        has_state, self_contained, pool, scheduled_ms, start_ms, end_ms, files, bytes, rows, base_files, new_content,
        totals, reason, comment, type, copy_of, prior, revision) VALUES (@uuid, @jobId, @jobName, @job, @client, @fileSet, @fileSetDigest, @level, 'R',
        1, 0, @self, @poolId, @scheduledMs, @startMs, 0, 0, 0, 0, 0, 0, '{}', '', @comment, @type, @copyOf, @prior, @revision)`)
      .run({
        ...job,
        ...{ type: job.type ?? "B", copyOf: job.copyOf ?? "", prior: JSON.stringify(job.prior ?? []) },
        ...{ ...facts, chain: undefined, bases: undefined, draws: undefined, holds: undefined },
      });
    const id = Number(lastInsertRowid);
    const parent = this.#db.prepare("INSERT INTO job_parent VALUES (?, ?, ?)");
    for (const [ord, other] of chain.entries()) parent.run(id, ord, other);
    // Only a Full lies on Bases itself; later runs reach them through their Full.
    const base = this.#db.prepare("INSERT INTO job_base VALUES (?, ?, ?, 'overlay')");
    if (chain.length === 0) for (const [ord, other] of bases.entries()) base.run(id, ord, other);
    this.#db.prepare("INSERT INTO pin VALUES (?, ?)").run(id, facts.poolId);
    return id;
  }

  #context(job: NewJob, begun: BegunJob, earlier: ReadonlySet<LocalJob>): JobContext {
    const layers = new Set<LocalJob>();
    for (const source of [begun.chain, begun.own, ...begun.bases])
      for (const id of [...(source?.layers ?? []), ...(source?.spliced?.layers ?? [])]) layers.add(id);
    for (const id of this.#layersOf(job.draws)) layers.add(id);
    const owner = this.#db.prepare<[number], { pool: number; client: string }>(
      "SELECT pool, client FROM job WHERE id = ?",
    );
    const owners = [...[...layers].map((id) => owner.get(id)!), ...this.#needs.drawsOf(layers)];
    for (const id of this.#layersOf(job.holds)) layers.add(id);
    return newContext({
      id: begun.id,
      list: begun.id,
      pool: begun.pool.id,
      client: job.client,
      deduplicate: begun.pool.deduplicate,
      selfContained: begun.selfContained,
      earlier,
      clientOnly: begun.pool.dedupScope === "client",
      pools: new Set([begun.pool.id, ...owners.map(({ pool }) => pool)]),
      clients: new Set([job.client, ...owners.map(({ client }) => client)]),
      layers,
    });
  }

  #layersOf(jobIds: readonly number[] = []): LocalJob[] {
    return jobIds.flatMap((jobId) => this.#layers.effective(this.#layers.local(jobId)).jobs);
  }

  #uuidOf(job: LocalJob): string {
    return this.#db.prepare<[number], string>("SELECT uuid FROM job WHERE id = ?").pluck().get(job)!;
  }

  /** What the job has stored so far; nothing more may come. */
  finishRows(job: LocalJob): JobCounts {
    const context = this.#contexts.get(job);
    this.#parts.dropUnfinished(context);
    return context.counts;
  }

  /** One durable transaction: from now on the job exists. Its frames must have been synced before. */
  commit(request: CommitRequest): void {
    const context = this.#contexts.get(request.job);
    const { counts } = context;
    const { keptTo } = request;
    const totals = { ...request.totals, ...(keptTo === undefined ? {} : { keptTo: keptToJson(keptTo) }) };
    durably(this.#db, () => {
      if (keptTo !== undefined) this.#db.prepare("UPDATE job SET type = 'I' WHERE id = ?").run(request.job);
      this.#db
        .prepare(`UPDATE job SET status = @status, dirty = 0, ending = 0, has_state = @hasState, end_ms = @endMs, files = @files,
          bytes = @bytes, rows = @rows, base_files = @baseFiles, new_content = @newContent, totals = @totals
          WHERE id = @job`)
        .run({
          job: request.job,
          status: request.status,
          hasState: counts.stateRows > 0 ? 1 : 0,
          endMs: request.endMs,
          files: counts.files,
          bytes: counts.bytes,
          rows: counts.rows,
          baseFiles: request.totals.baseFiles,
          newContent: counts.newContent,
          totals: JSON.stringify(totals),
        });
      this.#needs.record(request.job, context);
      shareHealed(this.#db, request.job);
      this.recordExtents(request.job, request.extents, 0);
      const used = this.#db.prepare("UPDATE volume SET jobs = jobs + 1 WHERE id = ?");
      for (const volume of new Set(request.extents.map((at) => at.volume))) used.run(volume);
      this.progress(request.volumes);
      this.#db.prepare("DELETE FROM pin WHERE job = ?").run(request.job);
      dropCheckpoint(this.#db, request.job);
      // An incomplete run keeps its own states only: the newest whole one still vouches.
      if (keptTo === undefined) this.#retireStates(request.job);
      retireIncomplete(this.#db, request.job);
    });
    this.#contexts.remove(request.job);
    this.#contexts.hidden.delete(request.job);
  }

  /** Where a job lies, from place `ord` on; what is behind it on these volumes may never be cut away. */
  recordExtents(job: LocalJob, extents: readonly JobExtent[], ord: number): void {
    const extent = this.#db.prepare("INSERT INTO job_volume VALUES (?, ?, ?, ?, ?)");
    const end = this.#db.prepare("UPDATE volume SET record_end = max(record_end, ?) WHERE id = ?");
    for (const [i, at] of extents.entries()) {
      extent.run(job, ord + i, at.volume, at.firstOffset, at.endOffset);
      end.run(at.endOffset, at.volume);
    }
  }

  /**
   * An end record of the job is about to be written on this volume: should the job fail after all, a delete record
   * must follow there (see `endedInVain`).
   */
  ending(job: LocalJob, volume: number): void {
    durably(this.#db, () => {
      this.#db.prepare("UPDATE job SET ending = 1 WHERE id = ? AND dirty = 1").run(job);
      // A list that is being rewritten has the negative number of its job.
      this.#db.prepare("INSERT OR IGNORE INTO job_record VALUES (?, ?)").run(Math.abs(job), volume);
    });
  }

  /** Only the newest run's state stream is ever asked for: `dropOldStates` removes the others. */
  #retireStates(job: LocalJob): void {
    this.#db
      .prepare(`UPDATE job SET has_state = 2 WHERE id IN (SELECT o.id FROM job o JOIN job n ON n.id = ?
        AND o.job_name = n.job_name AND o.client = n.client AND o.file_set = n.file_set
        WHERE o.id < n.id AND n.has_state = 1 AND o.has_state = 1)`)
      .run(job);
  }

  /** Removes a part of the state streams that nobody asks for any more; true when none is left. */
  dropOldStates(): boolean {
    return this.#db.transaction(() => {
      const job = this.#db
        .prepare<[], number>("SELECT id FROM job WHERE has_state = 2 LIMIT 1")
        .pluck()
        .get();
      if (job === undefined) return true;
      if (removeBlocks(this.#db, "state_block", job))
        this.#db.prepare("UPDATE job SET has_state = 0 WHERE id = ?").run(job);
      return false;
    })();
  }

  /** Volumes were synced up to these lengths; `safe`: how much of the job that syncs them may be kept. */
  checkpoint(volumes: readonly VolumeProgress[], safe?: JobCheckpoint): void {
    durably(this.#db, () => {
      this.progress(volumes);
      if (safe !== undefined) this.#interrupted.note(safe);
    });
  }

  /** New lengths and counters of volumes; part of a durable transaction. */
  progress(volumes: readonly VolumeProgress[]): void {
    const update = this.#db.prepare(`UPDATE volume SET bytes = max(bytes, @bytes), frames = frames + @frames,
      first_written_ms = CASE first_written_ms WHEN 0 THEN @writtenMs ELSE first_written_ms END,
      last_written_ms = max(last_written_ms, @writtenMs) WHERE id = @volume`);
    for (const progress of volumes) update.run(progress);
  }
}
