/**
 * Second half of a scan: from what all volumes said to a catalog. Content first, then lists, then which of the jobs are
 * whole: a job without its manifest, or without a list that it lies over, is left out, and only its content stays.
 */
import { displayPath } from "../../common/format/path.js";
import { GarbledInput } from "../../common/format/varint.js";
import { retireReplaced } from "../catalog/incomplete.js";
import type { Db } from "../catalog/schema.js";
import type { JobEndRecord } from "../volume/records.js";
import { contentVolumes, isEnded, type JobPlan, plansOf } from "./decide.js";
import { JobLoader, loadVolumes } from "./load-jobs.js";
import { ListLoader, type ListResult } from "./load-list.js";
import { ManifestFrames } from "./manifest-frames.js";
import { loadOlder, olderText } from "./older-lists.js";
import { Orphans } from "./orphans.js";
import { PoolTable } from "./pools.js";
import { directlyBelow, type LoadedJob, linkJob, placeJob, promoteCopies, unplaceJob } from "./relations.js";
import type { ScanOptions, ScanResult } from "./types.js";

const NOT_COMMITTED = "no volume holds the end of this job: it was never committed";

/** Fills the catalog `db` from a scratch database whose plans are made. */
export async function loadCatalog(
  scratch: Db,
  db: Db,
  options: ScanOptions,
  result: ScanResult,
): Promise<void> {
  db.exec("CREATE INDEX scan_frame ON frame(volume, offset)");
  const manifests = new ManifestFrames(options.store, scratch, async (volume, path, offset) => {
    result.problems++;
    scratch.prepare("UPDATE volume SET damaged = 1 WHERE id = ?").run(volume);
    await options.complain(`${path}: at byte ${offset}: a frame at the end of a job is damaged`);
  });
  try {
    await new CatalogLoad(scratch, db, options, result, manifests).run();
  } finally {
    await manifests.close();
  }
  db.exec("DROP INDEX scan_frame");
}

class CatalogLoad {
  readonly #scratch: Db;
  readonly #db: Db;
  readonly #options: ScanOptions;
  readonly #result: ScanResult;
  readonly #manifests: ManifestFrames;
  readonly #jobs: JobLoader;
  readonly #lists: ListLoader;
  readonly #pools: PoolTable;
  readonly #scanned: ReadonlySet<string>;

  constructor(scratch: Db, db: Db, options: ScanOptions, result: ScanResult, manifests: ManifestFrames) {
    this.#scratch = scratch;
    this.#db = db;
    this.#options = options;
    this.#result = result;
    this.#manifests = manifests;
    this.#pools = new PoolTable(db);
    this.#jobs = new JobLoader(scratch, db, this.#pools);
    const orphans = options.quick ? undefined : new Orphans(scratch, this.#jobs);
    this.#lists = new ListLoader(db, (digest, length) => orphans?.rescue(digest, length) ?? false);
    this.#scanned = new Set(scratch.prepare<[], string>("SELECT name FROM volume").pluck().all());
  }

  async run(): Promise<void> {
    loadVolumes(this.#scratch, this.#db, this.#pools);
    for (const plan of plansOf(this.#scratch, ["kept", "ghost", "failed"])) this.#addContent(plan);
    for (const plan of plansOf(this.#scratch, ["kept"])) {
      this.#options.signal?.throwIfAborted();
      const local = this.#localToLoad(plan);
      if (local !== undefined && isEnded(plan))
        await this.#addList(plan.job, local, plan.record as JobEndRecord);
    }
    await this.#leaveOutIncomplete();
    await this.#finishJobs();
    this.#countVolumes();
  }

  /** Job and frames; jobs that the catalog knows keep what it says of them. */
  #addContent(plan: JobPlan): void {
    const there = this.#db
      .prepare<[string], { id: number; status: string }>("SELECT id, status FROM job WHERE uuid = ?")
      .get(plan.record.jobUuid);
    const revive = there?.status === "G" && plan.kind === "kept";
    if (there !== undefined && !revive) {
      this.#note(plan.job, there.id, "present");
      if (plan.kind === "kept") this.#result.present++;
      if (!["T", "W", "G"].includes(there.status)) return;
    }
    const pool = this.#poolOf(plan);
    const status = plan.kind === "kept" ? String(plan.record.status) : plan.kind === "ghost" ? "G" : "E";
    const reason = plan.kind === "failed" ? NOT_COMMITTED : "";
    let local = there?.id;
    if (local === undefined) local = this.#jobs.addJob(plan, pool, status, reason);
    else if (revive) this.#jobs.revive(local, status);
    if (there === undefined || revive) this.#note(plan.job, local, "");
    if (plan.kind === "failed") {
      this.#result.failed++;
      return;
    }
    const closing =
      isEnded(plan) && plan.kind === "kept" ? (plan.record as JobEndRecord).closing : ([0, 0] as const);
    const volumes =
      plan.kind === "ghost" && !isEnded(plan) ? contentVolumes(this.#scratch, plan.job) : undefined;
    const frames = this.#jobs.addFrames(plan.job, local, closing, volumes);
    if (plan.kind !== "ghost" || there !== undefined) return;
    if (frames > 0) this.#result.ghosts++;
    else this.#db.prepare("DELETE FROM job WHERE id = ?").run(local);
  }

  #poolOf(plan: JobPlan): string {
    const volume =
      plan.volume ??
      this.#scratch
        .prepare<[number], number>("SELECT volume FROM begin WHERE job = ? LIMIT 1")
        .pluck()
        .get(plan.job);
    return (
      this.#scratch
        .prepare<[number | undefined], string>("SELECT pool FROM volume WHERE id = ?")
        .pluck()
        .get(volume) ?? "Default"
    );
  }

  #note(job: number, local: number, reason: string): void {
    this.#scratch.prepare("UPDATE plan SET local = ?, reason = ? WHERE job = ?").run(local, reason, job);
  }

  #localToLoad(plan: JobPlan): number | undefined {
    return this.#scratch
      .prepare<[number], number>("SELECT local FROM plan WHERE job = ? AND reason = ''")
      .pluck()
      .get(plan.job);
  }

  async #addList(job: number, local: number, record: JobEndRecord): Promise<void> {
    const lists = this.#lists;
    const manifests = this.#manifests;
    try {
      const found = await lists.load(local, record, manifests.pieces(job, record));
      if (found.damaged > 0) await this.#tellDamaged(local, record, found);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
      const parts = { scratch: this.#scratch, db: this.#db, jobs: this.#jobs, lists, manifests };
      const older = await loadOlder(parts, job, local, record);
      if (older === undefined) return this.#leaveOut(job, local, record, error.message);
      await this.#options.complain(olderText(record, older.record, error.message));
      if (older.found.damaged > 0) await this.#tellDamaged(local, older.record, older.found);
    }
  }

  async #tellDamaged(local: number, record: JobEndRecord, found: ListResult): Promise<void> {
    this.#result.damagedFiles += found.damaged;
    this.#db.prepare("UPDATE job SET status = 'W' WHERE id = ?").run(local);
    const absent = found.missing.filter((name) => !this.#scanned.has(name));
    const where = absent.length === 0 ? "" : `; volumes not scanned: ${absent.slice(0, 10).join(", ")}`;
    const paths = found.examples.map(displayPath).join(", ");
    await this.#options.complain(
      `JobId ${record.jobId} (${record.job}): content of ${found.damaged} files is on none of the volumes: ` +
        `${paths}${found.damaged > found.examples.length ? ", …" : ""}${where}`,
    );
  }

  async #leaveOut(job: number, local: number, record: JobEndRecord, why: string): Promise<void> {
    this.#lists.drop(local);
    this.#db.prepare("UPDATE job SET status = 'G' WHERE id = ?").run(local);
    this.#scratch.prepare("UPDATE plan SET reason = ? WHERE job = ?").run(why, job);
    this.#result.leftOut++;
    await this.#options.complain(
      `JobId ${record.jobId} (${record.job}, ${record.level}) is left out: ${why}`,
    );
    // What is on these volumes may be needed once the rest is found: nothing may be used again.
    this.#scratch
      .prepare("UPDATE volume SET damaged = 1 WHERE id IN (SELECT volume FROM frame WHERE job = ?)")
      .run(job);
  }

  /** Jobs whose parents or Bases are not there are not restorable either, nor those above them. */
  async #leaveOutIncomplete(): Promise<void> {
    for (let again = true; again; ) {
      again = false;
      for (const { job, local, record } of this.#whole()) {
        const missing = directlyBelow(record).find((uuid) => this.#find(uuid) === undefined);
        if (missing === undefined) continue;
        await this.#leaveOut(
          job,
          local,
          record,
          `it lies over ${this.#nameOf(missing)}, which cannot be restored`,
        );
        again = true;
      }
    }
  }

  #nameOf(uuid: string): string {
    const plan = this.#scratch
      .prepare<[string], { job_id: number }>(
        "SELECT p.job_id FROM plan p JOIN job j ON j.id = p.job WHERE j.uuid = ?",
      )
      .get(uuid);
    return plan === undefined ? `job ${uuid}, which is on none of the volumes` : `JobId ${plan.job_id}`;
  }

  /** The job, or the copy that took its place when it was migrated: their lists are equal. */
  #find(uuid: string, seen = new Set<string>()): number | undefined {
    const own = this.#db
      .prepare<[string], number>("SELECT id FROM job WHERE uuid = ? AND status IN ('T', 'W')")
      .pluck()
      .get(uuid);
    if (own !== undefined || seen.has(uuid)) return own;
    seen.add(uuid);
    const copies = this.#scratch
      .prepare<{ uuid: string }, string>(
        `SELECT j.uuid FROM plan p JOIN job j ON j.id = p.job
         WHERE @uuid = p.body ->> 'copyOf' OR @uuid IN (SELECT value FROM json_each(p.body, '$.prior')) ORDER BY p.job DESC`,
      )
      .pluck()
      .all({ uuid });
    for (const copy of copies) {
      const found = this.#find(copy, seen);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  *#whole(): Generator<LoadedJob> {
    for (const plan of plansOf(this.#scratch, ["kept"])) {
      const local = this.#localToLoad(plan);
      if (local === undefined || !isEnded(plan) || plan.volume === null) continue;
      yield { job: plan.job, local, record: plan.record as JobEndRecord, volume: plan.volume };
    }
  }

  async #finishJobs(): Promise<void> {
    const unlinked = this.#db.transaction(() => {
      for (const loaded of this.#whole()) placeJob(this.#scratch, this.#db, loaded);
      return this.#linkJobs();
    })();
    for (const { job, local, record } of unlinked) {
      unplaceJob(this.#db, local);
      await this.#leaveOut(job, local, record, "it lies over itself, or over jobs that do");
    }
    promoteCopies(this.#db);
    retireReplaced(this.#db);
    this.#result.jobs = this.#result.present;
    for (const _ of this.#whole()) this.#result.jobs++;
  }

  /** In the order of their starts, but for lists that were written anew later. Gives those that form a ring. */
  #linkJobs(): LoadedJob[] {
    this.#scratch.exec("CREATE TEMP TABLE unlinked(local INTEGER PRIMARY KEY)");
    const add = this.#scratch.prepare("INSERT INTO unlinked VALUES (?)");
    for (const { local } of this.#whole()) add.run(local);
    const has = this.#scratch.prepare("SELECT 1 FROM unlinked WHERE local = ?");
    const drop = this.#scratch.prepare("DELETE FROM unlinked WHERE local = ?");
    const isLinked = (local: number): boolean => has.get(local) === undefined;
    for (let progress = true; progress; ) {
      progress = false;
      for (const loaded of this.#whole()) {
        if (isLinked(loaded.local)) continue;
        if (!linkJob(this.#db, loaded, (uuid) => this.#find(uuid), isLinked)) continue;
        drop.run(loaded.local);
        progress = true;
      }
    }
    const left: LoadedJob[] = [];
    for (const loaded of this.#whole()) if (!isLinked(loaded.local)) left.push(loaded);
    return left;
  }

  /** Counters and dates of volumes, and which of them are not to be written or used again. */
  #countVolumes(): void {
    this.#db.transaction(() => {
      const rows = this.#scratch
        .prepare<[], { local: number; damaged: number; empty: number }>(
          `SELECT v.local, v.damaged, NOT EXISTS (SELECT 1 FROM frame f WHERE f.volume = v.id)
             AND NOT EXISTS (SELECT 1 FROM begin b WHERE b.volume = v.id)
             AND NOT EXISTS (SELECT 1 FROM ending e WHERE e.volume = v.id)
             AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.volume = v.id) AS empty
           FROM volume v WHERE v.present = 0`,
        )
        .all();
      const update = this.#db.prepare(`UPDATE volume SET
        frames = (SELECT count(*) FROM frame WHERE frame.volume = @local),
        jobs = (SELECT count(DISTINCT job) FROM job_volume WHERE job_volume.volume = @local),
        first_written_ms = coalesce((SELECT min(j.start_ms) FROM job_volume v JOIN job j ON j.id = v.job
          WHERE v.volume = @local), CASE @empty WHEN 1 THEN 0 ELSE label_ms END),
        last_written_ms = coalesce((SELECT max(j.end_ms) FROM job_volume v JOIN job j ON j.id = v.job
          WHERE v.volume = @local), CASE @empty WHEN 1 THEN 0 ELSE label_ms END),
        status = CASE WHEN @damaged = 1 THEN 'Read-Only' WHEN @empty = 1 THEN 'Append' ELSE 'Used' END WHERE id = @local`);
      for (const row of rows) update.run(row);
      this.#result.frames = this.#db.prepare<[], number>("SELECT count(*) FROM frame").pluck().get() ?? 0;
    })();
  }
}
