/** What the writing thread remembers of each running job, and who may see whose content. */

import { BackupError } from "../../common/errors.js";
import { isBelow } from "../../common/format/path.js";
import { RecentChunks } from "./recent-chunks.js";
import type { Db } from "./schema.js";
import type { LocalJob } from "./types.js";
import type { DrawMap, NeedMap } from "./writer-needs.js";

/** The most contents in parts that a client may have open at a time. */
export const MAX_OPEN_CONTENTS = 256;

export interface OpenContent {
  id: number;
  segments: number;
  size: number;
  hash: import("../../common/format/content.js").PartsIdentity;
  needs: NeedMap;
  draws: DrawMap;
}

/** Checks one ascending stream of blocks. */
export class StreamOrder {
  readonly #what: string;
  #last: string | undefined;
  /** The last row that was no directory: nothing may lie below it. */
  #leaf: string | undefined;
  blocks = 0;

  constructor(what: string) {
    this.#what = what;
  }

  /** @throws BackupError PROTOCOL_VIOLATION */
  check(key: string, isDirectory: boolean): void {
    if (this.#last !== undefined && key <= this.#last) throw violation(`${this.#what} out of path order`);
    if (this.#leaf !== undefined && isBelow(this.#leaf, key)) {
      throw violation(`${this.#what} with entries below something that is no directory`);
    }
    this.#last = key;
    this.#leaf = isDirectory ? undefined : key;
  }
}

export interface JobContext {
  id: LocalJob;
  /** Number in list_block of the list that it writes. */
  list: number;
  pool: number;
  client: string;
  deduplicate: boolean;
  selfContained: boolean;
  /** The attempts that it goes on with: what they stored is known also without deduplication. */
  earlier: ReadonlySet<LocalJob>;
  /** The pool's DedupScope is `client`: content of other clients is never "known". */
  clientOnly: boolean;
  /** Pools and clients whose content rows may name: the job's own and those of its parents. */
  pools: Set<number>;
  clients: Set<string>;
  /** Jobs whose lists it was begun with: they cannot be deleted meanwhile. */
  layers: Set<LocalJob>;
  /** Volumes of all content that it was told is known, or stored itself: they stay until it has ended. */
  pinned: Set<number>;
  recent: RecentChunks;
  /** What its rows name, by volume. */
  needs: NeedMap;
  /** Of whom that is, where it is neither its own pool nor its own client. */
  draws: DrawMap;
  rows: StreamOrder;
  states: StreamOrder;
  contents: Map<number, OpenContent>;
  counts: import("./types.js").JobCounts;
}

/** What is known of a job when it begins. */
export type ContextFacts = Pick<
  JobContext,
  | "id"
  | "list"
  | "pool"
  | "client"
  | "deduplicate"
  | "selfContained"
  | "earlier"
  | "clientOnly"
  | "pools"
  | "clients"
  | "layers"
>;

/** The context of a job that has named and stored nothing yet. */
export function newContext(facts: ContextFacts): JobContext {
  return {
    ...facts,
    draws: new Map(),
    pinned: new Set(),
    recent: new RecentChunks(),
    needs: new Map(),
    rows: new StreamOrder("rows"),
    states: new StreamOrder("state"),
    contents: new Map(),
    counts: { files: 0, deleted: 0, bytes: 0, rows: 0, stateRows: 0, newContent: 0 },
  };
}

/** Is it no job that runs, but the list of a finished one that is written anew? It has the job's negative number. */
export function isRewrite({ id }: JobContext): boolean {
  return id < 0;
}

export function violation(text: string): BackupError {
  return new BackupError("PROTOCOL_VIOLATION", `the client sent ${text}`);
}

/** The running jobs, and the jobs whose content does not count. */
export class Contexts {
  readonly #db: Db;
  readonly #running = new Map<LocalJob, JobContext>();
  /** Running jobs, and failed ones that are not cleaned yet. */
  readonly hidden: Set<LocalJob>;
  /** Volumes that are purged but whose chunks have not all left the catalog: nothing may be named there. */
  readonly purging: Set<number>;
  /** Volumes held by readers (restores, copies, checks), by holder. */
  readonly held = new Map<string, ReadonlySet<number>>();
  readonly #clientOf = new Map<LocalJob, string>();
  readonly #scopeOf = new Map<number, boolean>();

  constructor(db: Db) {
    this.#db = db;
    const dirty = db.prepare<[], { id: number }>("SELECT id FROM job WHERE dirty = 1").all();
    this.hidden = new Set(dirty.map(({ id }) => id));
    const purged = db
      .prepare<[], number>("SELECT id FROM volume WHERE status IN ('Purged', 'Recycle')")
      .pluck();
    this.purging = new Set(purged.all());
  }

  get running(): ReadonlyMap<LocalJob, JobContext> {
    return this.#running;
  }

  get(job: LocalJob): JobContext {
    const context = this.#running.get(job);
    if (context === undefined) throw new BackupError("JOB_NOT_RUNNING", "the job does not run any more");
    return context;
  }

  add(context: JobContext): void {
    this.#running.set(context.id, context);
    this.hidden.add(context.id);
  }

  remove(job: LocalJob): void {
    this.#running.delete(job);
  }

  clientOf(job: LocalJob): string {
    let client = this.#clientOf.get(job);
    if (client === undefined) {
      client =
        this.#db.prepare<[number], string>("SELECT client FROM job WHERE id = ?").pluck().get(job) ?? "";
      if (this.#clientOf.size > 10_000) this.#clientOf.clear();
      this.#clientOf.set(job, client);
    }
    return client;
  }

  /** True when only the same client may know what the pool holds. Forgotten by `poolsChanged`. */
  clientScoped(pool: number): boolean {
    let scoped = this.#scopeOf.get(pool);
    if (scoped === undefined) {
      const scope = this.#db
        .prepare<[number], string>("SELECT dedup_scope FROM pool WHERE id = ?")
        .pluck()
        .get(pool);
      scoped = scope === "client";
      this.#scopeOf.set(pool, scoped);
    }
    return scoped;
  }

  poolsChanged(): void {
    this.#scopeOf.clear();
  }

  /** May rows of `context` name content that `job` stored in `pool`? */
  mayName(context: JobContext, pool: number, job: LocalJob): boolean {
    if (job === context.id) return true;
    if (!context.pools.has(pool) || this.hidden.has(job)) return false;
    return !this.clientScoped(pool) || context.clients.has(this.clientOf(job));
  }

  /** Notes in `draws` that `context` names content that `job` stored in `pool`, if that is foreign to it. */
  noteDraw(draws: DrawMap, context: JobContext, pool: number, job: LocalJob): void {
    const client = this.clientOf(job);
    if (pool === context.pool && client === context.client) return;
    draws.set(`${pool} ${client}`, { pool, client });
  }

  /** May a claim of `context` be answered with "known" because `job` stored the chunk in the same pool? */
  mayKnow(context: JobContext, job: LocalJob): boolean {
    if (job === context.id) return true;
    if (!context.deduplicate) return context.earlier.has(job);
    return !this.hidden.has(job) && (!context.clientOnly || this.clientOf(job) === context.client);
  }
}
