/**
 * Calls of a storage or file daemon on behalf of a console with ACLs. Every method is either known here, with what it
 * needs and what of its answer may be seen, or refused.
 */

import { BackupError } from "../../../common/errors.js";
import type { CatalogJobList__Output } from "../../../proto/generated/basalt/v1/CatalogJobList.js";
import type { JobMediaPage__Output } from "../../../proto/generated/basalt/v1/JobMediaPage.js";
import type { PoolList__Output } from "../../../proto/generated/basalt/v1/PoolList.js";
import type { VolumeList__Output } from "../../../proto/generated/basalt/v1/VolumeList.js";
import type { VolumeListReply__Output } from "../../../proto/generated/basalt/v1/VolumeListReply.js";
import type { DataStream } from "../../../proto/rpc.js";
import type { DirectorConfig } from "../../config/types.js";
import { toPoolList } from "../../daemons/pools.js";
import { type Acl, type AclKind, notAllowed } from "../acl.js";
import type { CallOptions, DaemonCaller } from "../port.js";
import { GatedEntries } from "./entries.js";
import { gatedEstimate } from "./estimate.js";
import type { EntryGate } from "./gate.js";

export interface CallerRights {
  acl: Acl;
  gate: EntryGate;
  /** Name under which the catalog is spoken of. */
  catalog: string;
  /** All of it. */
  config: () => DirectorConfig;
  signal: AbortSignal;
}

// biome-ignore lint/suspicious/noExplicitAny: requests and replies of many methods, each typed where it is read.
type Message = any;

/** What a unary method needs, and what of its reply is seen. */
type Unary = (caller: RestrictedCaller, request: Message, options?: CallOptions) => Promise<unknown>;
type Streaming = (
  caller: RestrictedCaller,
  request: Message,
  options?: CallOptions,
) => AsyncIterable<unknown>;

export class RestrictedCaller implements DaemonCaller {
  readonly raw: DaemonCaller;
  readonly rights: CallerRights;
  readonly entries: GatedEntries;

  constructor(raw: DaemonCaller, rights: CallerRights) {
    this.raw = raw;
    this.rights = rights;
    this.entries = new GatedEntries(rights.gate, raw, rights.signal);
  }

  /** @throws BackupError NOT_ALLOWED, NOT_FOUND for runs that this console may not see */
  async unary<Reply>(
    service: "Filed" | "Storaged",
    method: string,
    request: object,
    options?: CallOptions,
  ): Promise<Reply> {
    const rules = service === "Storaged" ? UNARY : CLIENT_UNARY;
    const rule = Object.hasOwn(rules, method) ? rules[method] : undefined;
    if (rule === undefined) throw refused(method);
    this.need("catalog", this.rights.catalog, "Catalog");
    return (await rule(this, request, options)) as Reply;
  }

  async *stream<Reply>(
    service: "Filed" | "Storaged",
    method: string,
    request: object,
    options?: CallOptions,
  ): AsyncGenerator<Reply> {
    const rules = service === "Storaged" ? STREAMS : CLIENT_STREAMS;
    const rule = Object.hasOwn(rules, method) ? rules[method] : undefined;
    if (rule === undefined) throw refused(method);
    if (service === "Storaged") this.need("catalog", this.rights.catalog, "Catalog");
    yield* rule(this, request, options) as AsyncIterable<Reply>;
  }

  /** A FileSet's lists on their way to an estimate, which needs the rights. @throws BackupError NOT_ALLOWED */
  data(service: "FiledData", method: string, options?: CallOptions): DataStream {
    if (method !== "Names") throw refused(method);
    return this.raw.data(service, method, options);
  }

  /** @throws BackupError NOT_ALLOWED */
  need(kind: AclKind, name: string, what: string): void {
    if (!this.rights.acl.allows(kind, name)) throw notAllowed(`${what} "${name}"`);
  }

  /** @throws BackupError NOT_ALLOWED unless the lists grant everything */
  needAll(...kinds: AclKind[]): void {
    const missing = kinds.find((kind) => !this.rights.acl.grantsAll(kind));
    if (missing !== undefined) throw notAllowed(`all of what ${missing} ACLs are about`);
  }

  /** Every one must be a run in this daemon's catalog that the console may see. @throws BackupError NOT_FOUND */
  async needJobs(jobIds: readonly number[]): Promise<void> {
    if (jobIds.length === 0) return;
    const found = new Set((await this.jobs({ jobIds: [...jobIds] })).map((job) => job.jobId));
    const missing = jobIds.find((jobId) => !found.has(jobId));
    if (missing !== undefined) throw new BackupError("NOT_FOUND", `JobId ${missing} is not in the catalog`);
  }

  /** Runs that the console may see; volumes are left out where their pool is not granted. */
  async jobs(request: object, options?: CallOptions): Promise<CatalogJobList__Output["jobs"]> {
    const { acl } = this.rights;
    const reply = await this.raw.unary<CatalogJobList__Output>("Storaged", "ListJobs", request, options);
    return reply.jobs
      .filter(
        (job) =>
          acl.allows("job", job.jobName) &&
          acl.allowsClient(job.client) &&
          acl.allows("fileSet", job.fileSet),
      )
      .map((job) => (acl.allows("pool", job.pool) ? job : { ...job, pool: "", volumes: [], needs: [] }));
  }

  /** @throws BackupError NOT_FOUND unless the console may see the volume */
  async needVolume(volume: string): Promise<void> {
    const { volumes } = await this.raw.unary<VolumeList__Output>("Storaged", "ListVolumes", { volume });
    const found = volumes.find((each) => each.name === volume);
    if (found === undefined || !this.rights.acl.allows("pool", found.pool))
      throw new BackupError("NOT_FOUND", `Volume "${volume}" not found`);
  }

  /** Passes a call on once its volume, or else its pool, is granted; without either everything must be. */
  async needPlace({ volume, pool }: { volume?: string; pool?: string }): Promise<void> {
    if (volume) await this.needVolume(volume);
    if (pool) this.need("pool", pool, "Pool");
    if (!volume && !pool) this.needAll("pool");
  }

  pass(method: string, request: object, options?: CallOptions): Promise<unknown> {
    return this.raw.unary("Storaged", method, request, options);
  }

  /** The name of a pool, "" when it is not granted. */
  pool(name: string): string {
    return this.rights.acl.allows("pool", name) ? name : "";
  }
}

/** What is done with a device and tells of no volume but, perhaps, the one that is mounted. */
const OWN_DEVICE: readonly string[] = ["info", "mount", "unmount", "release"];

const UNARY: Readonly<Record<string, Unary>> = {
  ListJobs: async (caller, request, options) => ({ jobs: await caller.jobs(request, options) }),
  ListVolumes: async (caller, request, options) => {
    const { volumes } = (await caller.pass("ListVolumes", request, options)) as VolumeList__Output;
    return { volumes: seenVolumes(caller, volumes) };
  },
  ListPools: async (caller, request, options) => {
    const { pools } = (await caller.pass("ListPools", request, options)) as PoolList__Output;
    return {
      pools: pools
        .filter((pool) => caller.pool(pool.name) !== "")
        .map((pool) => ({
          ...pool,
          scratchPool: caller.pool(pool.scratchPool),
          recyclePool: caller.pool(pool.recyclePool),
          nextPool: caller.pool(pool.nextPool),
        })),
    };
  },
  CountSelection: async (caller, request, options) => {
    await caller.needJobs(request.jobIds ?? []);
    if (caller.rights.gate.open) return caller.pass("CountSelection", request, options);
    return caller.entries.count(request.jobIds ?? [], request.rules ?? []);
  },
  // The daemon takes this list as a whole: what the console does not see must not get lost.
  SyncPools: (caller, _request, options) =>
    caller.pass("SyncPools", toPoolList(caller.rights.config()), options),
  Label: (caller, request, options) => {
    caller.need("pool", request.pool ?? "", "Pool");
    return caller.pass("Label", request, options);
  },
  // Answers name what is in the slots, whatever its pool.
  OperateDevice: (caller, request, options) => {
    if (!OWN_DEVICE.includes(request.operation)) caller.needAll("pool");
    return caller.pass("OperateDevice", request, options);
  },
  UpdateVolume: async (caller, request, options) => {
    await caller.needVolume(request.volume);
    for (const pool of [request.pool, request.recyclePool]) if (pool) caller.need("pool", pool, "Pool");
    return caller.pass("UpdateVolume", request, options);
  },
  UpdateVolumesFromPool: async (caller, request, options) => {
    await caller.needPlace(request);
    return seenReply(caller, await caller.pass("UpdateVolumesFromPool", request, options));
  },
  Relabel: async (caller, request, options) => {
    await caller.needVolume(request.volume);
    if (request.pool) caller.need("pool", request.pool, "Pool");
    return caller.pass("Relabel", request, options);
  },
  Truncate: async (caller, request, options) => {
    await caller.needPlace(request.allPools === true ? {} : request);
    return seenReply(caller, await caller.pass("Truncate", request, options));
  },
  DeleteVolume: async (caller, request, options) => {
    await caller.needVolume(request.volume);
    return caller.pass("DeleteVolume", request, options);
  },
  SetDebug: (caller, request, options) => caller.pass("SetDebug", request, options),
  DeletePool: (caller, request, options) => {
    caller.need("pool", request.pool, "Pool");
    return caller.pass("DeletePool", request, options);
  },
};

/** The file daemon was reached: its client is granted. */
const CLIENT_UNARY: Readonly<Record<string, Unary>> = {
  SetBandwidth: (caller, request, options) => caller.raw.unary("Filed", "SetBandwidth", request, options),
  SetDebug: (caller, request, options) => caller.raw.unary("Filed", "SetDebug", request, options),
};

const STREAMS: Readonly<Record<string, Streaming>> = {
  async *ListEntries(caller, request, options) {
    await caller.needJobs(request.jobIds ?? []);
    if (caller.rights.gate.open) yield* caller.raw.stream("Storaged", "ListEntries", request, options);
    else if (Number(request.fromRow ?? 0) > 0) yield* caller.entries.listFrom(request, options);
    else yield* caller.entries.list(request, options);
  },
  async *FindEntries(caller, request, options) {
    const jobs = new Set((await caller.jobs({})).map((job) => job.jobId));
    yield* caller.entries.find(request, options ?? {}, jobs);
  },
  async *ListJobMedia(caller, request, options) {
    const jobs = await caller.jobs({ jobIds: [...(request.jobIds ?? [])] });
    // Of runs in pools that are not granted the volumes are left out.
    const seen = new Set(jobs.filter(({ volumes }) => volumes.length > 0).map(({ jobId }) => jobId));
    const pages = caller.raw.stream<JobMediaPage__Output>("Storaged", "ListJobMedia", request, options);
    for await (const page of pages)
      yield { ...page, extents: page.extents.filter(({ jobId }) => seen.has(jobId)) };
  },
  async *Rebase(caller, request, options) {
    await caller.needJobs(request.jobIds ?? []);
    yield* caller.raw.stream("Storaged", "Rebase", request, options);
  },
  async *Vacuum(caller, request, options) {
    await caller.needPlace(request);
    yield* caller.raw.stream("Storaged", "Vacuum", request, options);
  },
  // Runs that lie below these are counted in, whoever they are.
  async *Advise(caller, request, options) {
    const lists = [...(request.machines ?? []), ...(request.others ?? []), ...(request.references ?? [])];
    await caller.needJobs(lists.flatMap(comparedJobs));
    yield* caller.raw.stream("Storaged", "Advise", request, options);
  },
  // What it names may be anywhere, and of anybody.
  async *Drift(caller, request, options) {
    caller.needAll("directory", "userId");
    await caller.needJobs(comparedJobs(request.machine ?? {}));
    yield* caller.raw.stream("Storaged", "Drift", request, options);
  },
  // Findings name jobs, volumes and files of everything there is.
  async *Check(caller, request, options) {
    caller.needAll("job", "client", "fileSet", "pool", "directory", "userId");
    yield* caller.raw.stream("Storaged", "Check", request, options);
  },
};

const CLIENT_STREAMS: Readonly<Record<string, Streaming>> = {
  Estimate: ({ raw, rights }, request, options) => {
    const isKnown = rights.config().fileSets.has(request.fileSet?.name);
    return gatedEstimate({ gate: rights.gate, isKnown, raw }, request, options);
  },
};

function comparedJobs({ jobId = 0, bases = [] }: { jobId?: number; bases?: number[] }): number[] {
  return [jobId, ...bases];
}

function seenVolumes(
  caller: RestrictedCaller,
  volumes: VolumeList__Output["volumes"],
): VolumeList__Output["volumes"] {
  return volumes
    .filter((volume) => caller.pool(volume.pool) !== "")
    .map((volume) => ({ ...volume, recyclePool: caller.pool(volume.recyclePool) }));
}

function seenReply(caller: RestrictedCaller, reply: unknown): unknown {
  const all = reply as VolumeListReply__Output;
  return { ...all, volumes: seenVolumes(caller, all.volumes) };
}

function refused(method: string): BackupError {
  return new BackupError("NOT_ALLOWED", `${method}: not open to consoles with ACLs`);
}
