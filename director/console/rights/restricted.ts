/**
 * The director as a console with ACLs may see and use it. Every command of such a console works with this instead of
 * the director: what is not granted is not there, whatever the command does. Its messages, runs, queue, resources,
 * catalogs and files pass through here, and nothing is started that is not granted.
 */

import { BackupError } from "../../../common/errors.js";
import type { DirectorConfig } from "../../config/types.js";
import { resumeRequest } from "../../job/again.js";
import { type Acl, type AclKind, notAllowed } from "../acl.js";
import type {
  ConsoleDirector,
  JobFilter,
  JobPlan,
  JobRecord,
  LiveView,
  RunRequest,
  SwitchKind,
  UpcomingView,
} from "../port.js";
import { restrictConfig } from "./config.js";
import { restrictDaemons } from "./daemons.js";
import { EntryGate } from "./gate.js";
import { checkPlan, grantedRun } from "./run.js";

export class RestrictedDirector implements ConsoleDirector {
  readonly startedAtMs: number;
  readonly db: ConsoleDirector["db"];
  readonly queue: ConsoleDirector["queue"];
  readonly messages: ConsoleDirector["messages"];
  readonly daemons: ConsoleDirector["daemons"];
  readonly #whole: ConsoleDirector;
  readonly #acl: Acl;
  readonly #gate: EntryGate;
  readonly #signal: AbortSignal;
  #config: { of: DirectorConfig; seen: DirectorConfig } | undefined;

  /** `signal`: ends calls that are made on the console's behalf. */
  constructor(whole: ConsoleDirector, acl: Acl, signal: AbortSignal) {
    this.#whole = whole;
    this.#acl = acl;
    this.#gate = new EntryGate(acl);
    this.#signal = signal;
    this.startedAtMs = whole.startedAtMs;
    this.db = this.#records();
    this.queue = this.#jobs();
    this.messages = this.#box();
    const sees = (jobId: number) => this.db.jobs.get(jobId) !== undefined;
    this.daemons = restrictDaemons(whole, { acl, gate: this.#gate, signal }, sees);
  }

  get config(): DirectorConfig {
    const of = this.#whole.config;
    if (this.#config?.of !== of) this.#config = { of, seen: restrictConfig(of, this.#acl) };
    return this.#config.seen;
  }

  /** @throws BackupError NOT_FOUND as for a job that does not exist */
  plan(request: RunRequest): JobPlan {
    if (!this.#acl.allows("job", request.job))
      throw new BackupError("NOT_FOUND", `Job "${request.job}" not found`);
    return this.#whole.plan(request);
  }

  learnRuns(): Promise<void> {
    return this.#whole.learnRuns();
  }

  async runJob(request: RunRequest): Promise<number> {
    // Whether it may restore a run is known by the run's record.
    await this.#whole.learnRuns();
    const plan = this.plan(request);
    const rights = { acl: this.#acl, gate: this.#gate, signal: this.#signal, whole: this.#whole };
    return await this.#whole.runJob(await grantedRun(request, plan, rights));
  }

  async cancel(jobId: number, reason?: string): Promise<string[]> {
    return this.queue.get(jobId) === undefined ? [] : await this.#whole.cancel(jobId, reason);
  }

  async stopJob(jobId: number, reason?: string): Promise<string[]> {
    return this.queue.get(jobId) === undefined ? [] : await this.#whole.stopJob(jobId, reason);
  }

  /** What it uses is what it used before: this console must be allowed all of that. */
  async resumeJob(jobId: number): Promise<void> {
    const record = this.db.jobs.get(jobId);
    if (record === undefined) throw new BackupError("NOT_FOUND", `JobId ${jobId} is not in the catalog`);
    checkPlan(this.plan(resumeRequest(this.#whole.config, this.#whole.db.jobs.get(jobId)!)), this.#acl);
    await this.#whole.resumeJob(jobId);
  }

  leaveBootstrap(text: string): Promise<string> {
    return this.#whole.leaveBootstrap(text);
  }

  reload(): Promise<{ ok: boolean; errors: string[] }> {
    return this.#whole.reload();
  }

  isEnabled(kind: SwitchKind, name: string): boolean {
    return this.#whole.isEnabled(kind, name);
  }

  setEnabled(kind: SwitchKind, name: string, enabled: boolean): void {
    if (kind === "client" ? !this.#acl.allowsClient(name) : !this.#acl.allows(kind, name))
      throw notAllowed(`${kind} "${name}"`);
    this.#whole.setEnabled(kind, name, enabled);
  }

  setAddress(client: string, address: string): void {
    if (!this.#acl.allowsClient(client)) throw notAllowed(`Client "${client}"`);
    this.#whole.setAddress(client, address);
  }

  upcoming(days: number): UpcomingView[] {
    return this.#whole
      .upcoming(days)
      .filter((run) => this.#seesJob(run.job))
      .map((run) => ({
        ...run,
        pool: this.#name("pool", run.pool),
        schedule: this.#name("schedule", run.schedule),
      }));
  }

  /** A Job resource, and the client that it is configured for. */
  #seesJob(name: string): boolean {
    if (!this.#acl.allows("job", name)) return false;
    const client = this.#whole.config.jobs.get(name)?.client ?? "";
    return client === "" || this.#acl.allowsClient(client);
  }

  /** A name, or "" when it is not granted. */
  #name(kind: AclKind, name: string): string {
    return this.#acl.allows(kind, name) ? name : "";
  }

  #sees(record: JobRecord): boolean {
    return (
      this.#acl.allows("job", record.name) && (record.client === "" || this.#acl.allowsClient(record.client))
    );
  }

  /** A run without the names of what is not granted. */
  #shown(record: JobRecord): JobRecord {
    const pool = this.#name("pool", record.pool);
    return {
      ...record,
      fileSet: this.#name("fileSet", record.fileSet),
      pool,
      storage: this.#name("storage", record.storage),
      volumes: pool === "" ? [] : record.volumes,
    };
  }

  #needAll(): void {
    if (!this.#acl.grantsAll("job")) throw notAllowed("every job");
  }

  #records(): ConsoleDirector["db"] {
    const { jobs, log, history } = this.#whole.db;
    const get = (jobId: number): JobRecord | undefined => {
      const record = jobs.get(jobId);
      return record === undefined || !this.#sees(record) ? undefined : this.#shown(record);
    };
    const seen = (jobIds: readonly number[]) => jobIds.filter((jobId) => get(jobId) !== undefined);
    return {
      jobs: {
        get,
        list: (filter = {}) => this.#listed(filter),
        update: (jobId, changes) => {
          if (get(jobId) !== undefined) jobs.update(jobId, changes);
        },
        remove: (jobIds) => jobs.remove(seen(jobIds)),
        markFilesPurged: (jobIds) => jobs.markFilesPurged(seen(jobIds)),
      },
      log: {
        list: (jobId) =>
          (jobId === 0 ? this.#acl.grantsAll("job") : get(jobId) !== undefined) ? log.list(jobId) : [],
      },
      history: {
        update: (before) => {
          this.#needAll();
          return history.update(before);
        },
        expired: (before) => {
          this.#needAll();
          return history.expired(before);
        },
        prune: (before) => {
          this.#needAll();
          return history.prune(before);
        },
      },
    };
  }

  /** A limit counts what is seen. */
  #listed(filter: JobFilter): JobRecord[] {
    const { jobs } = this.#whole.db;
    // To ask for what is not granted must not tell more than to ask for what is not there.
    const { pool, fileSet, storage } = filter;
    if (pool !== undefined && !this.#acl.allows("pool", pool)) return [];
    if (fileSet !== undefined && !this.#acl.allows("fileSet", fileSet)) return [];
    if (storage !== undefined && !this.#acl.allows("storage", storage)) return [];
    const { limit, ...rest } = filter;
    for (let asked = limit === undefined ? undefined : limit * 4; ; asked = asked! * 4) {
      const found = jobs.list(asked === undefined ? rest : { ...rest, limit: asked });
      const shown = found.filter((record) => this.#sees(record)).map((record) => this.#shown(record));
      if (limit === undefined) return shown;
      if (shown.length >= limit || found.length < asked! || asked! <= 0) return shown.slice(0, limit);
    }
  }

  #seesLive(live: LiveView): boolean {
    const { job, client } = live.plan;
    return this.#acl.allows("job", job.name) && (client === undefined || this.#acl.allowsClient(client.name));
  }

  #jobs(): ConsoleDirector["queue"] {
    const { queue } = this.#whole;
    const list = () => queue.list().filter((live) => this.#seesLive(live));
    return {
      list,
      get: (jobId) => list().find((live) => live.jobId === jobId),
      on: (event, listener) => queue.on(event, listener),
      waitIdle: async (signal) => {
        while (list().length > 0) await changed(queue, signal);
      },
      waitJob: async (jobId, signal) => {
        const live = list().some((each) => each.jobId === jobId);
        if (!live) return this.db.jobs.get(jobId);
        await queue.waitJob(jobId, signal);
        return this.db.jobs.get(jobId);
      },
    };
  }

  #box(): ConsoleDirector["messages"] {
    const { messages } = this.#whole;
    // What belongs to no job may name any of them.
    const sees = (name: string) => (name === "" ? this.#acl.grantsAll("job") : this.#seesJob(name));
    const both = (allowed?: (name: string) => boolean) => (name: string) =>
      sees(name) && (allowed?.(name) ?? true);
    return {
      pending: (console, allowed) => messages.pending(console, both(allowed)),
      take: (console, limit, allowed) => messages.take(console, limit, both(allowed)),
      onPending: (listener) => messages.onPending(listener),
      daemon: (type, text) => messages.daemon(type, text),
    };
  }
}

/** Resolves at the next change of the queue; rejects when the signal is aborted. */
function changed(queue: ConsoleDirector["queue"], signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => () => {
      off();
      signal?.removeEventListener("abort", gone);
      act();
    };
    const off = queue.on("change", () => done(resolve)());
    const gone = (): void => done(() => reject(signal?.reason))();
    if (signal?.aborted === true) gone();
    else signal?.addEventListener("abort", gone, { once: true });
  });
}
