/** A director for tests of the console language: plain data, one fake storage daemon, no clock of its own. */
import { EventEmitter } from "node:events";
import { createLog } from "../../../common/log.js";
import type { DirectorConfig } from "../../config/types.js";
import type { NetworkLoad } from "../../daemons/network-test.js";
import { makePlan } from "../../job/plan.js";
import type { ConsoleDirector, JobFilter, JobRecord, LiveView, RunRequest, SwitchKind } from "../port.js";
import { runSession } from "../session.js";
import { FakeStorage } from "./fake-storage.js";
import { fixtureConfig } from "./fixture-config.js";
import { fixtureJobs, NOON, recordOf } from "./fixture-jobs.js";

export { NOON, recordOf };

export class FakeDirector implements ConsoleDirector {
  config: DirectorConfig = fixtureConfig();
  readonly startedAtMs = NOON - 86_400_000;
  readonly storage = new FakeStorage(fixtureJobs());
  readonly ran: RunRequest[] = [];
  readonly live: LiveView[] = [];
  readonly box: string[] = [];
  readonly canceled: number[] = [];
  /** Messages of the director itself. */
  readonly said: string[] = [];
  reloadErrors: string[] = [];
  readonly #events = new EventEmitter();
  readonly #off = new Set<string>();

  /** Records of runs that no storage daemon holds. */
  readonly own: JobRecord[] = [];
  readonly removed = new Set<number>();
  readonly changes = new Map<number, Partial<JobRecord>>();

  readonly db = {
    jobs: {
      get: (jobId: number) => this.#records().find((record) => record.jobId === jobId),
      list: (filter: JobFilter = {}) => {
        const found = this.#records().filter(
          (record) =>
            (filter.jobIds === undefined || filter.jobIds.includes(record.jobId)) &&
            (filter.name === undefined || filter.name === record.name) &&
            (filter.client === undefined || filter.client === record.client) &&
            (filter.level === undefined || filter.level === record.level) &&
            (filter.type === undefined || filter.type === record.type),
        );
        if (filter.order === "desc") found.reverse();
        return filter.limit === undefined ? found : found.slice(0, filter.limit);
      },
      update: (jobId: number, changes: Partial<JobRecord>) =>
        void this.changes.set(jobId, { ...this.changes.get(jobId), ...changes }),
      remove: (jobIds: readonly number[]) => {
        const before = this.#records().length;
        for (const jobId of jobIds) this.removed.add(jobId);
        return before - this.#records().length;
      },
      markFilesPurged: (jobIds: readonly number[]) => {
        for (const jobId of jobIds) this.db.jobs.update(jobId, { purgedFiles: 1 });
      },
    },
    log: {
      list: (jobId: number) => [{ jobId, timeMs: NOON, text: `21-Nov 12:00 test-dir JobId ${jobId}: hello` }],
    },
    history: {
      update: () => 3,
      expired: () => ({ figures: 2, logLines: 5 }),
      prune: () => ({ figures: 2, logLines: 5 }),
    },
  };

  readonly queue = {
    list: () => this.live,
    get: (jobId: number) => this.live.find((job) => job.jobId === jobId),
    on: (event: "change", listener: () => void) => {
      this.#events.on(event, listener);
      return () => void this.#events.off(event, listener);
    },
    waitIdle: (signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (this.live.length === 0) resolve();
        };
        this.#events.on("change", look);
        signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
        look();
      }),
    waitJob: async (jobId: number) => this.db.jobs.get(jobId),
  };

  readonly messages = {
    pending: (_console: string, allowed?: (job: string) => boolean) =>
      this.box.filter((text) => allowed?.(this.jobOf(text)) ?? true).length,
    take: (_console: string, _limit?: number, allowed?: (job: string) => boolean) =>
      this.box.splice(0).filter((text) => allowed?.(this.jobOf(text)) ?? true),
    onPending: () => () => undefined,
    daemon: (type: string, text: string) => void this.said.push(`${type}: ${text}`),
  };

  readonly daemons = {
    storaged: async () => this.storage,
    filed: async () => this.storage,
    filedStatus: async () => ({
      name: "vm1-fd",
      version: "0.1.0",
      startedMs: NOON,
      rssBytes: 1000,
      running: [],
    }),
    testNetwork: async (client: string, storage: string, { bytes, packets }: NetworkLoad) => {
      this.tested.push({ client, storage, bytes, packets });
      return { writeMs: 125, readMs: 40.4, packetsMs: 3, shortestMs: 0.5, longestMs: 1.25 };
    },
    storagedStatus: async () => ({
      ...{ name: "File1", version: "0.1.0", startedMs: NOON, rssBytes: 1000, running: [] },
      devices: [
        {
          name: "FileStorage",
          mediaType: "File",
          path: "/srv/volumes",
          volume: "",
          pool: "",
          writers: 0,
          volumeBytes: 0,
          ...{ changer: "", drive: 0, slot: 0, unmounted: false, scripted: false },
        },
      ],
    }),
  };

  /** Job resource of a message in the box. */
  jobOf(text: string): string {
    return this.db.jobs.get(Number(/JobId (\d+)/.exec(text)?.[1] ?? "0"))?.name ?? "";
  }

  plan(request: RunRequest) {
    return makePlan(this.config, request);
  }

  /** Puts in what a lost database does not know at first. (Default: nothing) */
  learnRuns: () => Promise<void> = async () => undefined;

  async runJob(request: RunRequest): Promise<number> {
    this.ran.push(request);
    return 10 + this.ran.length;
  }

  async cancel(jobId: number): Promise<string[]> {
    this.canceled.push(jobId);
    const job = this.queue.get(jobId);
    return job === undefined ? [] : [`JobId ${jobId}, Job ${job.job} marked to be canceled.`];
  }

  readonly stopped: number[] = [];
  readonly resumed: number[] = [];

  async stopJob(jobId: number): Promise<string[]> {
    this.stopped.push(jobId);
    const job = this.queue.get(jobId);
    return job === undefined ? [] : [`JobId ${jobId}, Job ${job.job} marked to be stopped.`];
  }

  async resumeJob(jobId: number): Promise<void> {
    this.resumed.push(jobId);
  }

  async leaveBootstrap(): Promise<string> {
    return "/nowhere/t-dir.restore.1.bsr";
  }

  async reload() {
    return { ok: this.reloadErrors.length === 0, errors: this.reloadErrors };
  }

  isEnabled(kind: SwitchKind, name: string): boolean {
    return !this.#off.has(`${kind} ${name}`);
  }

  readonly tested: object[] = [];

  readonly addresses = new Map<string, string>();

  setAddress(client: string, address: string): void {
    this.addresses.set(client, address);
  }

  setEnabled(kind: SwitchKind, name: string, enabled: boolean): void {
    if (enabled) this.#off.delete(`${kind} ${name}`);
    else this.#off.add(`${kind} ${name}`);
  }

  upcoming() {
    return [
      {
        whenMs: NOON,
        job: "vm1",
        level: "Incremental",
        type: "Backup",
        priority: 10,
        pool: "Default",
        schedule: "Nightly",
      },
    ];
  }

  /** Puts a waiting or running job into the queue. */
  addLive(jobId: number, state: "waiting" | "running" = "running", job = "vm1"): void {
    this.live.push({
      ...{
        jobId,
        uuid: `u${jobId}`,
        job: `${job}.2026-11-21_12.00.00_${jobId}`,
        plan: this.plan({ job }),
        queuedMs: NOON,
      },
      ...{ state, detail: "is running", level: "Full" as const, startedMs: NOON },
      progress: { files: 0, bytesRead: 0, bytesSent: 0, bytesStored: 0, errors: 0, path: "", volume: "" },
    });
  }

  /** Ends all jobs. */
  finishLive(): void {
    this.live.length = 0;
    this.#events.emit("change");
  }

  #records(): JobRecord[] {
    return [...this.storage.jobs.map(recordOf), ...this.own]
      .filter((record) => !this.removed.has(record.jobId))
      .map((record) => ({ ...record, ...this.changes.get(record.jobId) }));
  }
}

/**
 * Runs lines as the console does from a pipe; the whole transcript with every line echoed. `$INTERRUPT` as a line is
 * a Ctrl-C.
 */
export async function transcript(
  director: FakeDirector,
  lines: readonly string[],
  name = "admin",
  address?: string,
): Promise<string> {
  let text = "";
  const waiting = [...lines];
  const turns: ((line: string | undefined) => void)[] = [];
  let wanted = 1;
  async function* incoming() {
    for (;;) {
      if (wanted === 0) await new Promise<void>((resolve) => turns.push(() => resolve()));
      wanted -= 1;
      const line = waiting.shift();
      if (line === undefined) return;
      text += `${line}\n`;
      yield line === "$INTERRUPT" ? { interrupt: true } : { line };
    }
  }
  const next = (): void => {
    wanted += 1;
    turns.shift()?.(undefined);
  };
  await runSession({
    incoming: incoming(),
    peer: { name, ...(address === undefined ? {} : { address }) },
    director,
    log: createLog("test", { level: "silent" }),
    send: async (output) => {
      if (typeof output.text === "string") text += output.text;
      if (output.prompt) {
        text += output.prompt.text;
        next();
      }
      if (output.messages) text += "You have messages.\n";
      if (output.ready) next();
    },
  });
  return text;
}
