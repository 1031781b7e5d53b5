/**
 * For tests: a director with real certificates, a real configuration file and real RPC, against a file daemon and a
 * storage daemon that do in a few lines what the test wants of them.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../common/log.js";
import { verifyTicket } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import type { Role } from "../common/tls/identity.js";
import { issueCa, issuePeer, issueTicketKeys } from "../common/tls/issue.js";
import type { Cancel__Output as Cancel } from "../proto/generated/basalt/v1/Cancel.js";
import type { CatalogJob } from "../proto/generated/basalt/v1/CatalogJob.js";
import type { FiledBackup__Output as FiledBackup } from "../proto/generated/basalt/v1/FiledBackup.js";
import type { FiledRestore__Output as FiledRestore } from "../proto/generated/basalt/v1/FiledRestore.js";
import type { JobEvent } from "../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../proto/generated/basalt/v1/JobResult.js";
import type { PruneRequest__Output as PruneRequest } from "../proto/generated/basalt/v1/PruneRequest.js";
import type { ResolvedParents } from "../proto/generated/basalt/v1/ResolvedParents.js";
import type { ResolveRequest__Output as ResolveRequest } from "../proto/generated/basalt/v1/ResolveRequest.js";
import type { RetentionReply } from "../proto/generated/basalt/v1/RetentionReply.js";
import type { StorageBackup__Output as StorageBackup } from "../proto/generated/basalt/v1/StorageBackup.js";
import type { StorageRestore__Output as StorageRestore } from "../proto/generated/basalt/v1/StorageRestore.js";
import { type CallContext, PROTOCOL, RpcServer, type RpcTls } from "../proto/rpc.js";
import { loadDirectorConfig } from "./config/load.js";
import type { DirectorConfig } from "./config/types.js";
import { jobIdsBySql, runScriptCommand } from "./console/run-script.js";
import { Daemons } from "./daemons/daemons.js";
import { DirectorDb } from "./db/database.js";
import type { JobRecord } from "./db/records.js";
import { Director } from "./director.js";
import { MessageCenter } from "./messages/center.js";

export type Emit = (event: JobEvent) => Promise<void>;
/** Plays a daemon's part of a job; `canceled` is aborted when the director cancels it. */
export type Part<Request> = (
  request: Request,
  emit: Emit,
  canceled: AbortSignal,
) => Promise<Partial<JobResult>>;

/** What the daemons do and what they were asked; change it as the test goes. */
export interface Script {
  filedBackup: Part<FiledBackup>;
  filedRestore: Part<FiledRestore>;
  storageBackup: Part<StorageBackup>;
  storageRestore: Part<StorageRestore>;
  resolve: (request: ResolveRequest) => ResolvedParents;
  highestJobId: () => number;
  /** Start of the storage daemon's process; another value plays a restart. */
  startedMs: number;
  prune: (request: PruneRequest) => RetentionReply;
  /** Runs that the storage daemon holds. */
  held: () => CatalogJob[];
  /** Of the protocol that the file daemon speaks. */
  protocolMinor: number;
  readonly filedRequests: (FiledBackup | FiledRestore)[];
  readonly storageRequests: (StorageBackup | StorageRestore)[];
  readonly resolved: ResolveRequest[];
  /** Greetings and questions for parents, as they came to the storage daemon. */
  readonly storageAsked: ("Hello" | "ResolveParents")[];
  readonly canceled: string[];
  readonly pools: string[][];
  /** How many retention rules came with the pools. */
  readonly rules: number[];
  readonly revoked: string[];
}

export interface Bench {
  readonly director: Director;
  readonly db: DirectorDb;
  readonly script: Script;
  readonly directory: string;
  readonly ticketPublicPem: string;
  /** Runs a job to its end. */
  run(request: Parameters<Director["runJob"]>[0]): Promise<JobRecord>;
  /** Messages of a job without their heads. */
  texts(jobId: number): string[];
  stopFiled(): Promise<void>;
  stopStoraged(): Promise<void>;
  close(): Promise<void>;
}

const READY: JobEvent = { state: { state: "ready", detail: "" } };
const GOOD: Partial<JobResult> = { ok: true };

function defaultScript(): Script {
  return {
    filedBackup: async (_request, emit) => {
      await emit(READY);
      return GOOD;
    },
    filedRestore: async () => GOOD,
    storageBackup: async () => GOOD,
    storageRestore: async (_request, emit) => {
      await emit(READY);
      return GOOD;
    },
    resolve: (request) => ({ level: request.level }),
    highestJobId: () => 0,
    startedMs: 1,
    prune: () => ({}),
    held: () => [],
    protocolMinor: PROTOCOL.minor,
    filedRequests: [],
    storageRequests: [],
    resolved: [],
    storageAsked: [],
    canceled: [],
    pools: [],
    rules: [],
    revoked: [],
  };
}

/** One fake daemon: its server and the jobs it plays. */
function fakeDaemon(role: "filed" | "storaged", name: string, tls: RpcTls, script: Script): RpcServer {
  const jobs = new Map<string, AbortController>();
  const play =
    <Request extends { jobUuid: string }>(part: () => Part<Request>, seen: unknown[]) =>
    async (request: Request, context: CallContext, send: Emit): Promise<void> => {
      const stop = new AbortController();
      context.signal.addEventListener("abort", () => stop.abort(), { once: true });
      jobs.set(request.jobUuid, stop);
      seen.push(request);
      const result = await part()(request, send, stop.signal);
      jobs.delete(request.jobUuid);
      await send({ result });
    };
  const server = new RpcServer({ tls, isRevoked: () => false });
  const common = {
    Hello: async (request: { revokedFingerprints: string[] }) => {
      script.revoked.splice(0, script.revoked.length, ...request.revokedFingerprints);
      if (role === "storaged") script.storageAsked.push("Hello");
      const { startedMs } = script;
      const protocolMinor = role === "filed" ? script.protocolMinor : PROTOCOL.minor;
      return { role, name, protocolMajor: PROTOCOL.major, protocolMinor, startedMs };
    },
    Cancel: async (request: Cancel) => {
      script.canceled.push(`${role}: ${request.reason}`);
      jobs.get(request.jobUuid)?.abort();
      return { found: jobs.has(request.jobUuid) };
    },
    Status: async () => ({ name }),
  };
  const filed = {
    ...common,
    StartBackup: play(() => script.filedBackup, script.filedRequests),
    StartRestore: play(() => script.filedRestore, script.filedRequests),
  };
  const storaged = {
    ...common,
    StartBackup: play(() => script.storageBackup, script.storageRequests),
    StartRestore: play(() => script.storageRestore, script.storageRequests),
    ResolveParents: async (request: ResolveRequest) => {
      script.storageAsked.push("ResolveParents");
      script.resolved.push(request);
      return script.resolve(request);
    },
    SyncPools: async (request: { pools: { name: string }[]; rules: object[] }) => {
      script.rules.push(request.rules.length);
      script.pools.push(request.pools.map((pool) => pool.name));
      return request;
    },
    Prune: async (request: PruneRequest) => script.prune(request),
    ListJobs: async () => ({ jobs: script.held() }),
    NextJobId: async () => ({ highest: script.highestJobId() }),
  };
  if (role === "filed") server.add("Filed", filed, () => true);
  else server.add("Storaged", storaged, () => true);
  return server;
}

interface Pki {
  tls(role: Role, name: string): Promise<RpcTls>;
  ticketPublicPem: string;
  ticketPrivatePem: string;
}

async function makePki(directory: string): Promise<Pki> {
  const ca = await issueCa("test");
  mkdirSync(join(directory, "pki"));
  const write = (name: string, text: string): void =>
    writeFileSync(join(directory, "pki", name), text, { mode: 0o600 });
  const ticket = issueTicketKeys();
  write("ca.crt", ca.certPem);
  write("ticket.key", ticket.privatePem);
  return {
    ticketPublicPem: ticket.publicPem,
    ticketPrivatePem: ticket.privatePem,
    async tls(role, name) {
      const issued = await issuePeer(ca, { role, name });
      write(`${role}.crt`, issued.certPem);
      write(`${role}.key`, issued.keyPem);
      return {
        ca: Buffer.from(ca.certPem),
        cert: Buffer.from(issued.certPem),
        key: Buffer.from(issued.keyPem),
      };
    },
  };
}

function yaml(filedPort: number, storagedPort: number, jobs: string): string {
  return `
Director:
  Name: dir
  WorkingDirectory: var
  Messages: Standard
  FdConnectTimeout: 1
  SdConnectTimeout: 1
  TLS: {CaFile: pki/ca.crt, CertFile: pki/director.crt, KeyFile: pki/director.key}
Client: [{Name: web1-fd, Address: 127.0.0.1, Port: ${filedPort}, MaximumConcurrentJobs: 5}]
Storage: [{Name: File, Address: 127.0.0.1, Port: ${storagedPort}, Device: Disk}]
Pool: [{Name: Default}, {Name: Fulls}]
FileSet: [{Name: Etc, Include: {File: /etc}}]
Messages: [{Name: Standard, Console: all, Catalog: all}]
JobDefs: [{Name: D, Type: Backup, Client: web1-fd, FileSet: Etc, Pool: Default, Storage: File, Level: Full, MaximumConcurrentJobs: 5}]
Job:
${jobs}
`;
}

/** Starts everything; close it with \`close\`. \`jobs\`: items of the Job list, \`- {Name: web1, JobDefs: D}\`. */
export async function startBench(jobs: string, database = ":memory:"): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), "basalt-bench-"));
  const pki = await makePki(directory);
  const script = defaultScript();
  const filed = fakeDaemon("filed", "web1-fd", await pki.tls("filed", "web1-fd"), script);
  const storaged = fakeDaemon("storaged", "main-sd", await pki.tls("storaged", "main-sd"), script);
  const tls = await pki.tls("director", "dir");
  const ports = [await filed.listen("127.0.0.1", 0), await storaged.listen("127.0.0.1", 0)] as const;
  const file = join(directory, "director.yaml");
  writeFileSync(file, yaml(ports[0], ports[1], jobs));
  const config: DirectorConfig = loadDirectorConfig(file);
  const log = createLog("test", { level: "silent" });
  const db = DirectorDb.open(database);
  const current = (): DirectorConfig => director.config;
  const messages = new MessageCenter({
    db,
    name: "dir",
    log,
    daemonMessages: () => current().messages.get("Standard"),
  });
  const daemons = new Daemons({
    config: current,
    tls,
    ticketKey: pki.ticketPrivatePem,
    software: "test",
    isRevoked: () => false,
    revoked: () => ["ab"],
  });
  const director: Director = new Director({
    config,
    load: () => loadDirectorConfig(file),
    db,
    messages,
    daemons,
    ticketKey: pki.ticketPrivatePem,
    version: "1.2.3",
    runConsole: (whole, line) => runScriptCommand(whole, line, log),
    selectJobIds: (whole, sql) => jobIdsBySql(whole, sql, log),
    log,
  });
  return {
    director,
    db,
    script,
    directory,
    ticketPublicPem: pki.ticketPublicPem,
    async run(request) {
      const jobId = await director.runJob(request);
      return (await director.queue.waitJob(jobId))!;
    },
    texts: (jobId) => db.log.list(jobId).map(({ text }) => text.replace(/^\S+ \S+ /, "")),
    stopFiled: () => filed.close(0),
    stopStoraged: () => storaged.close(0),
    async close() {
      await director.stop();
      daemons.close();
      db.close();
      await Promise.all([filed.close(0), storaged.close(0)]);
      rmSync(directory, { recursive: true });
    },
  };
}

/** A ticket as a daemon would check it. */
export function readTicket(bench: Bench, text: string) {
  return verifyTicket(text, bench.ticketPublicPem, nowMs());
}
