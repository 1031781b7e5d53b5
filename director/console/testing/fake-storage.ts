/** A storage daemon for tests: answers the questions of the console from a list of paths. */
import { isWithin, pathToKey } from "../../../common/format/path.js";
import { fnmatch } from "../fnmatch.js";
import { fromWire, toWire } from "../names.js";
import type { DaemonCaller } from "../port.js";

export interface FakeJob {
  jobId: number;
  jobName: string;
  client: string;
  fileSet: string;
  level: string;
  status: string;
  startMs: number;
  volumes: string[];
  bases: number[];
  /** (Default: Default) */
  pool?: string;
  /** Sizes by path; directories end in `/`; null: deleted. */
  files: Record<string, number | null>;
}

interface WireRule {
  path: Buffer;
  include: boolean;
  recursive: boolean;
}

interface Listed {
  path: string;
  directory: boolean;
  size: number;
  jobId: number;
  /** Place in the job's list. (Default: 0, none) */
  row?: number;
}

// biome-ignore lint/suspicious/noExplicitAny: stands in for generated request types.
type Request = any;

export class FakeStorage implements DaemonCaller {
  readonly jobs: FakeJob[];
  readonly volumes: { name: string; pool: string; status?: string; bytes?: number }[] = [
    { name: "Vol-1", pool: "Default" },
  ];
  /** Owner and mode by path, where they are not root's usual ones. */
  readonly owners: Record<string, { uid: number; gid: number; mode: number }> = {};
  /** Answers that replace the ones below; of a streaming method a list. */
  readonly replies: Record<string, (request: Request) => unknown> = {};
  /** Calls by method, for tests that count. */
  readonly calls: { method: string; request: Request }[] = [];

  constructor(jobs: FakeJob[]) {
    this.jobs = jobs;
  }

  data(): never {
    throw new Error("no list of files was expected");
  }

  async unary<Reply>(_service: string, method: string, request: Request): Promise<Reply> {
    this.calls.push({ method, request });
    return this.#answer(method, request) as Reply;
  }

  async *stream<Reply>(_service: string, method: string, request: Request): AsyncGenerator<Reply> {
    this.calls.push({ method, request });
    const reply = this.replies[method];
    if (reply !== undefined) return yield* reply(request) as Reply[];
    const entries = method === "FindEntries" ? this.#find(request) : this.#list(request);
    yield { entries } as Reply;
  }

  #answer(method: string, request: Request): unknown {
    const reply = this.replies[method];
    if (reply !== undefined) return reply(request);
    switch (method) {
      case "ListJobs":
        return {
          jobs: this.jobs
            .filter((job) => fits(job, request))
            .map((job) => ({ pool: "Default", ...job, ...totals(job) })),
        };
      case "CountSelection":
        return this.#count(request);
      case "ListPools":
        return { pools: ["Archive", "Default"].map((name, index) => pool(name, index + 1, this.volumes)) };
      case "ListVolumes":
        return { volumes: this.#volumes(request) };
      case "Label":
        return this.#label(request);
      case "OperateDevice":
        return { ok: true, drives: 0, slots: 0, list: [], messages: deviceLines(request) };
      default:
        throw new Error(`no answer for ${method}`);
    }
  }

  #volumes({ volume, pool: poolName }: Request): unknown[] {
    return this.volumes
      .map((each, index) => ({ each, shown: volumeOf(each, index + 1) }))
      .filter(({ each }) => (!volume || each.name === volume) && (!poolName || each.pool === poolName))
      .map(({ shown }) => shown);
  }

  #label({ volume, pool: poolName, device }: Request): unknown {
    if (this.volumes.some(({ name }) => name === volume)) return { ok: false, error: "exists", exists: true };
    this.volumes.push({ name: volume, pool: poolName });
    return { ok: true, error: "", volumeBytes: 220, device, path: "/srv/volumes", exists: false };
  }

  #effective(jobIds: number[]): Listed[] {
    const all = new Map<string, Listed>();
    for (const jobId of jobIds) {
      const files = Object.entries(this.jobs.find((job) => job.jobId === jobId)?.files ?? {});
      for (const [index, [name, size]] of files.entries()) {
        const directory = name.length > 1 && name.endsWith("/");
        const path = directory ? name.slice(0, -1) : name;
        if (size === null) all.delete(path);
        else all.set(path, { path, directory, size, jobId, row: index + 1 });
      }
    }
    return [...all.values()].sort((a, b) => (pathToKey(a.path) < pathToKey(b.path) ? -1 : 1));
  }

  #list(request: Request): unknown[] {
    if (request.images === true) return []; // It holds none.
    const directory = fromWire(request.directory ?? toWire("/"));
    const after = request.after === undefined ? undefined : pathToKey(fromWire(request.after));
    const depth = pathToKey(directory) === "" ? 1 : pathToKey(directory).split("\0").length + 1;
    const all = this.#effective(request.jobIds);
    const found = (request.children === true ? childrenOf(all, pathToKey(directory), depth) : all).filter(
      (entry) => {
        const key = pathToKey(entry.path);
        return isWithin(pathToKey(directory), key) && (after === undefined || key > after);
      },
    );
    if (request.fromRow > 0) return found.filter(({ row }) => row === request.fromRow).map(wire);
    const limited = request.limit > 0 ? found.slice(0, request.limit) : found;
    return limited.map((entry) => ({
      ...wire(entry),
      ...this.owners[entry.path],
      marked: selects(request.rules ?? [], entry.path),
    }));
  }

  #find({ pattern = "", exact, path: bytes, client }: Request): unknown[] {
    const all = this.#effective(this.jobs.map((job) => job.jobId));
    if (bytes !== undefined) {
      const own = this.jobs.filter((job) => job.client === client).map((job) => this.#effective([job.jobId]));
      return own.flat().flatMap((entry) => (entry.path === fromWire(bytes) ? [wire(entry)] : []));
    }
    return all
      .filter(({ path }) =>
        exact ? path === pattern : fnmatch(pattern, path.slice(path.lastIndexOf("/") + 1)),
      )
      .map((entry) => ({ ...wire(entry), ...this.owners[entry.path] }));
  }

  #count({ jobIds, rules }: Request): unknown {
    const all = this.#effective(jobIds);
    const picked = all.filter((entry) => selects(rules ?? [], entry.path));
    return {
      files: picked.length,
      bytes: picked.reduce((sum, entry) => sum + entry.size, 0),
      total: all.length,
    };
  }
}

/** What a device that is a directory answers. */
function deviceLines({ device, operation }: Request): string[] {
  const place = `"${device}" (/srv/volumes)`;
  if (operation === "mount") return [`3906 File device ${place} is always mounted.`];
  if (operation === "unmount") return [`3901 Device ${place} is already unmounted.`];
  return operation === "release" ? [`3921 Device ${place} already released.`] : [];
}

/** Entries directly in a directory; what is only on the way to an entry appears as a directory. */
function childrenOf(all: readonly Listed[], directory: string, depth: number): Listed[] {
  const found = new Map<string, Listed>();
  for (const entry of all) {
    const parts = pathToKey(entry.path).split("\0");
    if (!isWithin(directory, pathToKey(entry.path)) || parts.length < depth) continue;
    const path = `/${parts.slice(0, depth).join("/")}`;
    if (parts.length === depth) found.set(path, entry);
    else if (!found.has(path)) found.set(path, { path, directory: true, size: 0, jobId: entry.jobId });
  }
  return [...found.values()];
}

function fits(job: FakeJob, request: Request): boolean {
  if (request.jobIds?.length > 0 && !request.jobIds.includes(job.jobId)) return false;
  if (request.client && job.client !== request.client) return false;
  if (request.jobName && job.jobName !== request.jobName) return false;
  return !request.fileSet || job.fileSet === request.fileSet;
}

function totals(job: FakeJob): object {
  const sizes = Object.values(job.files).filter((size) => size !== null);
  return {
    uuid: `u${job.jobId}`,
    job: job.jobName,
    endMs: job.startMs + 1000,
    files: sizes.length,
    bytes: sizes.reduce((a, b) => a + b, 0),
    baseFiles: 0,
    rows: sizes.length,
    chain: [],
    needs: [],
  };
}

function selects(rules: readonly WireRule[], path: string): boolean {
  const rule = rules.findLast((each) => {
    const top = fromWire(each.path);
    return top === path || (each.recursive && isWithin(pathToKey(top), pathToKey(path)));
  });
  return rule?.include ?? false;
}

function wire(entry: Listed): object {
  return {
    path: toWire(entry.path),
    type: entry.directory ? "directory" : "file",
    mode: entry.directory ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: entry.size,
    mtimeSec: 1_700_000_000,
    mtimeNsec: 0,
    target: Buffer.alloc(0),
    content: Buffer.alloc(0),
    row: entry.row ?? 0,
    turn: 0,
    jobId: entry.jobId,
    marked: false,
    flags: 0,
  };
}

function pool(name: string, poolId: number, volumes: readonly { pool: string }[]): object {
  return {
    ...{
      name,
      poolId,
      poolType: "Backup",
      deduplicate: true,
      dedupScope: "pool",
      maximumVolumes: 0,
      maximumVolumeBytes: 0,
    },
    ...{
      maximumVolumeJobs: 0,
      volumeUseDuration: 0,
      volumeRetention: 31_536_000,
      autoPrune: true,
      recycle: true,
    },
    ...{ labelFormat: "", scratchPool: "", recyclePool: "", nextPool: "" },
    volumes: volumes.filter((volume) => volume.pool === name).length,
  };
}

function volumeOf(
  volume: { name: string; pool: string; status?: string; bytes?: number },
  mediaId: number,
): object {
  return {
    ...{
      mediaId,
      name: volume.name,
      status: volume.status ?? "Append",
      enabled: true,
      bytes: volume.bytes ?? 220,
      files: 0,
      retention: 31_536_000,
    },
    ...{
      recycle: true,
      slot: 0,
      inChanger: false,
      mediaType: "File",
      jobs: 0,
      firstWrittenMs: 0,
      lastWrittenMs: 0,
    },
    ...{
      pool: volume.pool,
      useDuration: 0,
      maxJobs: 0,
      maxBytes: 0,
      labelMs: 0,
      blocks: 0,
      errors: 0,
      device: "FileStorage",
    },
    ...{ recycles: 0, recyclePool: "", truncateOnPurge: false, liveBytes: -1, measuredMs: 0 },
  };
}
