/**
 * What the director may ask of the storage daemon, and filed's call that fetches a restore. Only directors named in
 * the configuration are served; a job's data needs a ticket that the director signed and nobody used before.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, describeError } from "../common/errors.js";
import type { Log } from "../common/log.js";
import { type Ticket, TicketBook } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import { encodeJson } from "../proto/data/backup.js";
import { RestoreKind } from "../proto/data/restore.js";
import type { Cancel__Output } from "../proto/generated/basalt/v1/Cancel.js";
import type { HelloRequest__Output } from "../proto/generated/basalt/v1/HelloRequest.js";
import type { NetworkTest__Output } from "../proto/generated/basalt/v1/NetworkTest.js";
import type { NetworkTestResult } from "../proto/generated/basalt/v1/NetworkTestResult.js";
import type { StorageBackup__Output } from "../proto/generated/basalt/v1/StorageBackup.js";
import type { StorageCopy__Output } from "../proto/generated/basalt/v1/StorageCopy.js";
import type { StorageRestore__Output } from "../proto/generated/basalt/v1/StorageRestore.js";
import {
  type CallContext,
  checkProtocol,
  type DataStream,
  type Handlers,
  type Peer,
  PROTOCOL,
  type RpcServer,
} from "../proto/rpc.js";
import type { Catalog } from "./catalog/catalog.js";
import { changersOf } from "./changer/changer-store.js";
import type { StoragedConfig } from "./config.js";
import { runNetworkTest } from "./network-test.js";
import type { JobDeleter } from "./retention/delete.js";
import { deleteMigrated } from "./retention/migrated.js";
import { catalogHandlers } from "./service-catalog.js";
import { compareHandlers } from "./service-compare.js";
import { toRules } from "./service-convert.js";
import { type CopyHost, copyHandlers, serveCopyCall } from "./service-copies.js";
import { deviceHandlers, deviceStates } from "./service-devices.js";
import { makeRetention, retentionHandlers, takeRules } from "./service-retention.js";
import { firstRequest, mismatch, readTicket } from "./service-tickets.js";
import { verifyHandlers } from "./service-verify.js";
import { volumeHandlers } from "./service-volumes.js";
import { BackupSession } from "./session/backup-session.js";
import type { CopyOffer } from "./session/copy-offer.js";
import type { DialedClients } from "./session/dialed-clients.js";
import { FetchedSession } from "./session/fetched-session.js";
import { ImageSession } from "./session/image-session.js";
import { RestoreSession } from "./session/restore-session.js";
import type { SessionDeps } from "./session/session-deps.js";
import type { VerifySession } from "./session/verify-session.js";
import type { VolumeDesk } from "./session/volume-desk.js";
import type { Store } from "./store/store.js";
import type { FrameVerifier } from "./volume/verify.js";

/** How long jobs may take to end when the daemon stops. */
const CLOSE_MS = 30_000;

export interface StoragedOptions {
  /** The configuration in force; may change at any time. */
  config: () => StoragedConfig;
  /** PEM of the key that verifies tickets. */
  ticketKey: () => Buffer;
  catalog: Catalog;
  store: Store;
  desk: VolumeDesk;
  deleter: JobDeleter;
  verifier: FrameVerifier;
  log: Log;
  version: string;
  connect: SessionDeps["connect"];
  dialed?: DialedClients;
  /** Opens the data stream to the storage daemon that has the original of a copy. */
  dialStorage?: (request: StorageCopy__Output) => Promise<{ stream: DataStream; close: () => void }>;
  /** Looks at a director with a good certificate; throws when it may not come in. (Default: all may) */
  admit?: (peer: Peer) => void;
  /** A director told of withdrawn certificates. */
  onRevoked: (fingerprints: readonly string[]) => void;
}

type Session = BackupSession | CopyOffer | FetchedSession | VerifySession;

export class StoragedService {
  readonly #options: StoragedOptions;
  readonly #sessions = new Map<string, { session: Session; ended: Promise<void> }>();
  readonly #tickets = new TicketBook();
  readonly #startedMs = nowMs();
  #sessionId = 0;
  #closing = false;
  #dropReplaced: SessionDeps["dropReplaced"];
  /** What sessions do when their result was told: only the end of the daemon waits for it. */
  readonly #after = new Set<Promise<void>>();

  constructor(options: StoragedOptions) {
    this.#options = options;
  }

  /** Adds all methods to a server that does not listen yet. */
  register(server: RpcServer): void {
    const director = (peer: Peer): boolean => {
      if (peer.role !== "director" || !this.#options.config().directors.includes(peer.name)) return false;
      this.#options.admit?.(peer);
      return true;
    };
    server.add("Storaged", this.#handlers(), (_method, peer) => director(peer));
    const serve = (stream: DataStream, peer: Peer) => this.#serveRestore(stream, peer);
    server.addData("StoragedData", "Restore", serve, (_method, peer) => peer.role === "filed");
    const copy = (stream: DataStream, peer: Peer) => serveCopyCall(this.#copyHost(), stream, peer);
    server.addData("StoragedData", "Copy", copy, (_method, peer) => peer.role === "storaged");
  }

  #handlers(): Handlers {
    const retention = makeRetention(this.#options);
    const { catalog, deleter, log } = this.#options;
    this.#dropReplaced = () =>
      retention.retention.exclusively(async () => (await deleteMigrated(catalog, deleter, log)).warnings);
    return {
      ...catalogHandlers(this.#options, (list) => takeRules(retention, list)),
      ...volumeHandlers(this.#options),
      ...deviceHandlers(this.#options),
      ...compareHandlers(this.#options),
      ...retentionHandlers(retention),
      ...copyHandlers(this.#copyHost(), (work) => retention.retention.exclusively(work)),
      ...verifyHandlers({
        options: this.#options,
        run: (session, context) => this.#run(session, context),
        admit: (request, peer) =>
          this.#tickets.take(this.#checkTicket(request.ticket, "verify", request, peer), nowMs()),
      }),
      Hello: async (request: HelloRequest__Output, { peer }) => this.#hello(request, peer),
      StartBackup: async (request: StorageBackup__Output, context, send) => {
        const ticket = this.#checkTicket(request.ticket, "backup", request, context.peer);
        if (ticket.pool !== request.pool) throw mismatch("pool");
        this.#tickets.take(ticket, nowMs());
        await this.#run(new BackupSession(this.#backupDeps(), request, send), context);
      },
      StartRestore: async (request: StorageRestore__Output, context, send) => {
        this.#checkTicket(request.ticket, "restore", request, context.peer);
        const { catalog, store, log, config } = this.#options;
        const { workingDirectory } = config();
        const deps = { catalog, store, log, workingDirectory, devices: () => config().devices };
        const rules = toRules(request.selection?.rules ?? []);
        const Kind = request.images ? ImageSession : RestoreSession;
        await this.#run(new Kind(deps, request, rules, send), context);
      },
      Cancel: async ({ jobUuid, reason, keep }: Cancel__Output) => {
        const session = this.#sessions.get(jobUuid)?.session;
        const why = reason === "" ? "canceled by the director" : reason;
        if (keep && session instanceof BackupSession) session.stop(why);
        else session?.cancel(why);
        return { found: session !== undefined };
      },
      Status: async () => this.#status(),
      TestNetwork: (request: NetworkTest__Output, context) => this.#testNetwork(request, context),
    };
  }

  async #testNetwork(
    request: NetworkTest__Output,
    { peer, signal }: CallContext,
  ): Promise<NetworkTestResult> {
    this.#checkTicket(request.ticket, "network", { jobId: 0, jobUuid: "", client: request.client }, peer);
    const { stream, close } = await this.#options.connect(request, "Network");
    try {
      return await runNetworkTest(stream, request, signal);
    } finally {
      close();
    }
  }

  #hello(request: HelloRequest__Output, peer: Peer): object {
    const { protocolMajor: major, protocolMinor: minor } = request;
    checkProtocol(peer.role, peer.name, { major, minor });
    if (request.revokedFingerprints.length > 0) this.#options.onRevoked(request.revokedFingerprints);
    const { version, config } = this.#options;
    const protocol = { protocolMajor: PROTOCOL.major, protocolMinor: PROTOCOL.minor };
    const startedMs = this.#startedMs;
    return { role: "storaged", name: config().name, ...protocol, software: version, startedMs };
  }

  #backupDeps(): SessionDeps {
    const { catalog, desk, deleter, verifier, log, config, connect } = this.#options;
    const settle = deleter.settle.bind(deleter);
    const session = { id: ++this.#sessionId, timeMs: this.#startedMs };
    const dropReplaced = this.#dropReplaced;
    const checkpoints = { ms: config().checkpointIntervalSec * 1000 };
    const more = { session, settle, dropReplaced, checkpoints };
    return { catalog, desk, verifier, log, storage: config().name, connect, ...more };
  }

  #copyHost(): CopyHost {
    return {
      options: this.#options,
      backupDeps: () => this.#backupDeps(),
      run: (session, context) => this.#run(session, context),
      checkTicket: (text, kind, job, director, storage) =>
        this.#checkTicket(text, kind, job, director, storage),
      readTicket: (text) => readTicket(text, this.#options.ticketKey()),
      takeTicket: (ticket) => this.#tickets.take(ticket, nowMs()),
      session: (jobUuid) => this.#sessions.get(jobUuid)?.session,
    };
  }

  /** @throws BackupError TICKET_* */
  #checkTicket(
    text: string,
    kind: Ticket["kind"],
    job: { jobId: number; jobUuid: string; client: string },
    director: Peer,
    storage = this.#options.config().name,
  ): Ticket {
    const ticket = readTicket(text, this.#options.ticketKey());
    if (ticket.kind !== kind) throw mismatch("kind");
    if (ticket.jobUuid !== job.jobUuid || ticket.jobId !== job.jobId) throw mismatch("job");
    if (ticket.client !== job.client) throw mismatch("client");
    if (ticket.storage !== storage) throw mismatch("storage");
    if (ticket.director !== director.name) throw mismatch("director");
    return ticket;
  }

  async #run(session: Session, context: CallContext): Promise<void> {
    const { maximumConcurrentJobs } = this.#options.config();
    if (this.#closing) throw new BackupError("SHUTTING_DOWN", "the storage daemon is ending");
    if (this.#sessions.has(session.jobUuid))
      throw new BackupError("JOB_EXISTS", "this job is running here already");
    if (this.#sessions.size >= maximumConcurrentJobs) {
      const text = `the storage daemon runs ${this.#sessions.size} jobs, its Maximum Concurrent Jobs`;
      throw new BackupError("TOO_MANY_JOBS", text, { retry: "later" });
    }
    const gone = () => session.cancel("the director's connection was lost", false);
    context.signal.addEventListener("abort", gone, { once: true });
    if (context.signal.aborted) gone();
    const ended = session.run();
    this.#sessions.set(session.jobUuid, { session, ended });
    try {
      await ended;
    } finally {
      this.#sessions.delete(session.jobUuid);
      if (session instanceof BackupSession) {
        const { after } = session;
        this.#after.add(after);
        void after.then(() => this.#after.delete(after));
      }
      context.signal.removeEventListener("abort", gone);
    }
  }

  async #serveRestore(stream: DataStream, peer: Peer): Promise<void> {
    const session = await this.#admitRestore(stream, peer);
    try {
      await session.serve(stream);
    } catch (error) {
      if (stream.signal.aborted) return;
      const text = describeError(error);
      await stream.send(encodeJson(RestoreKind.message, { type: "fatal", text })).catch(() => undefined);
      throw error;
    }
  }

  /** Reads filed's request and checks that the restore is its own. @throws BackupError */
  async #admitRestore(stream: DataStream, peer: Peer): Promise<FetchedSession> {
    const request = await firstRequest(stream);
    checkProtocol("filed", peer.name, request.protocol);
    const ticket = readTicket(request.ticket, this.#options.ticketKey());
    const running = this.#sessions.get(request.jobUuid)?.session;
    const own = running instanceof FetchedSession && running.client === peer.name;
    if (
      !own ||
      ticket.kind !== "restore" ||
      ticket.jobUuid !== request.jobUuid ||
      ticket.client !== peer.name
    ) {
      throw new BackupError(
        "TICKET_INVALID",
        `no restore for client "${peer.name}" waits here under this ticket`,
      );
    }
    this.#tickets.take(ticket, nowMs());
    return running;
  }

  #status(): object {
    const { config, desk, version } = this.#options;
    const { name, devices } = config();
    const running = [...this.#sessions.values()].map(({ session }) => session.status());
    const states = deviceStates(devices.values(), desk, changersOf(this.#options.store));
    const rssBytes = process.memoryUsage.rss();
    return { name, version, startedMs: this.#startedMs, rssBytes, running, devices: states };
  }

  /** Ends every job as failed with `reason` and waits for that. */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    const all = [...this.#sessions.values()];
    for (const { session } of all) session.cancel(reason, false);
    // What does not end by then is settled by the next start, as after a crash.
    const late = sleep(CLOSE_MS, undefined, { ref: false });
    await Promise.race([Promise.allSettled([...all.map(({ ended }) => ended), ...this.#after]), late]);
  }
}
