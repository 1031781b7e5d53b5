/** What the director may ask of the file daemon, and storaged's call that fetches a backup. */
import { BackupError } from "../common/errors.js";
import { type Ticket, TicketBook, verifyTicket } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import { orderDebug } from "../common/trace.js";
import { BackupKind, isDiskVerifyLevel } from "../proto/data/backup.js";
import type { BandwidthReply } from "../proto/generated/basalt/v1/BandwidthReply.js";
import type { BandwidthRequest__Output } from "../proto/generated/basalt/v1/BandwidthRequest.js";
import type { Cancel__Output } from "../proto/generated/basalt/v1/Cancel.js";
import type { DebugRequest__Output } from "../proto/generated/basalt/v1/DebugRequest.js";
import type { FiledBackup__Output } from "../proto/generated/basalt/v1/FiledBackup.js";
import type { FiledEstimate__Output } from "../proto/generated/basalt/v1/FiledEstimate.js";
import type { FiledRestore__Output } from "../proto/generated/basalt/v1/FiledRestore.js";
import type { FiledStatus } from "../proto/generated/basalt/v1/FiledStatus.js";
import type { HelloReply } from "../proto/generated/basalt/v1/HelloReply.js";
import type { HelloRequest__Output } from "../proto/generated/basalt/v1/HelloRequest.js";
import {
  type CallContext,
  checkProtocol,
  type DataStream,
  type Handlers,
  type Peer,
  PROTOCOL,
  type RpcServer,
} from "../proto/rpc.js";
import { runEstimate } from "./estimate.js";
import { serveNetworkTest } from "./network-test.js";
import { BackupSession } from "./session/backup-session.js";
import type { SessionDeps, SessionSettings } from "./session/deps.js";
import type { JobRequest, JobSession } from "./session/job-session.js";
import { checkListsStart, checkStart, readFirst } from "./session/read-start.js";
import { RestoreSession } from "./session/restore-session.js";

export interface FiledOptions extends SessionDeps {
  /** PEM of the key that verifies tickets. */
  ticketKey: () => Buffer;
  version: string;
  /** Looks at a director with a good certificate; throws when it may not come in. (Default: all may) */
  admit?: (peer: Peer) => void;
  /** A director told of withdrawn certificates. */
  onRevoked: (fingerprints: readonly string[]) => void;
}

export class FiledService {
  readonly #options: FiledOptions;
  readonly #settings: SessionSettings;
  readonly #sessions = new Map<string, { session: JobSession; ended: Promise<void> }>();
  readonly #tickets = new TicketBook();
  readonly #startedMs = nowMs();
  #closing = false;

  constructor(options: FiledOptions) {
    this.#settings = { bandwidth: new Map(), hangup: 0 };
    // Getters stay getters: the certificate comes with the first contact.
    const settings = { value: this.#settings, enumerable: true };
    this.#options = Object.defineProperties({} as FiledOptions, {
      ...Object.getOwnPropertyDescriptors(options),
      settings,
    });
  }

  /** Adds all methods to a server that does not listen yet. */
  register(server: RpcServer): void {
    const isDirector = (peer: Peer): boolean => {
      if (peer.role !== "director" || !this.#options.config().directors.includes(peer.name)) return false;
      this.#options.admit?.(peer);
      return true;
    };
    server.add("Filed", this.#handlers(), (_method, peer) => isDirector(peer));
    const serve = (stream: DataStream, peer: Peer): Promise<void> => this.#serveBackup(stream, peer);
    const receive = (stream: DataStream): Promise<void> => this.#options.inbox.receive(stream);
    server.addData("FiledData", "Names", receive, (_method, peer) => isDirector(peer));
    server.addData("FiledData", "Backup", serve, (_method, peer) => peer.role === "storaged");
    const lists = (stream: DataStream, peer: Peer): Promise<void> => this.#serveLists(stream, peer);
    server.addData("FiledData", "Lists", lists, (_method, peer) => peer.role === "storaged");
    const test = (stream: DataStream, peer: Peer): Promise<void> => this.#serveTest(stream, peer);
    server.addData("FiledData", "Network", test, (_method, peer) => peer.role === "storaged");
  }

  /** Ends all jobs; resolves when their After hooks have run and their results were sent. */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    for (const { session } of this.#sessions.values()) session.stop(reason);
    await Promise.all([...this.#sessions.values()].map(({ ended }) => ended));
  }

  #handlers(): Handlers {
    return {
      Hello: async (request: HelloRequest__Output, { peer }) => this.#hello(request, peer),
      StartBackup: (request: FiledBackup__Output, context, send) => {
        this.#checkTicket(request, isDiskVerifyLevel(request.level) ? "verify" : "backup", context.peer);
        const session = new BackupSession(this.#options, { request, director: context.peer.name }, send);
        return this.#run(session, context);
      },
      StartRestore: (request: FiledRestore__Output, context, send) => {
        this.#checkTicket(request, "restore", context.peer);
        const session = new RestoreSession(this.#options, { request, director: context.peer.name }, send);
        return this.#run(session, context);
      },
      Estimate: (request: FiledEstimate__Output, { signal }, send) => {
        const { inbox, config } = this.#options;
        return runEstimate({ request, inbox, config: config(), send, signal });
      },
      Cancel: async ({ jobUuid, reason, keep }: Cancel__Output, { peer }) => {
        const session = this.#sessionOf(jobUuid, peer);
        const why = reason === "" ? "canceled by the director" : reason;
        if (keep) session?.stop(why);
        else session?.cancel(why);
        return { found: session !== undefined };
      },
      SetBandwidth: async (request: BandwidthRequest__Output, { peer }) => this.#setBandwidth(request, peer),
      SetDebug: async ({ hangup, ...order }: DebugRequest__Output) => {
        if (hangup !== undefined) this.#settings.hangup = hangup;
        orderDebug(this.#options.config(), order);
        return {};
      },
      Status: async () => this.#status(),
    };
  }

  #hello(request: HelloRequest__Output, peer: Peer): HelloReply {
    const { protocolMajor: major, protocolMinor: minor, revokedFingerprints } = request;
    const own = this.#options.protocol ?? PROTOCOL;
    checkProtocol(peer.role, peer.name, { major, minor }, own);
    this.#options.onRevoked(revokedFingerprints);
    return {
      role: "filed",
      name: this.#options.config().name,
      protocolMajor: own.major,
      protocolMinor: own.minor,
      software: this.#options.version,
    };
  }

  #status(): FiledStatus {
    return {
      name: this.#options.config().name,
      version: this.#options.version,
      startedMs: this.#startedMs,
      rssBytes: process.memoryUsage.rss(),
      running: [...this.#sessions.values()].map(({ session }) => session.status()),
    };
  }

  #sessionOf(jobUuid: string, peer: Peer): JobSession | undefined {
    const session = this.#sessions.get(jobUuid)?.session;
    return session?.director === peer.name ? session : undefined;
  }

  /** Of one job, or of all of this director and of those to come. */
  #setBandwidth({ jobUuid, bytesPerSec }: BandwidthRequest__Output, peer: Peer): BandwidthReply {
    if (bytesPerSec < 0) throw new BackupError("REQUEST_INVALID", "a limit below 0");
    if (jobUuid === "") this.#settings.bandwidth.set(peer.name, bytesPerSec);
    const all = [...this.#sessions.keys()].map((uuid) => this.#sessionOf(uuid, peer));
    const changed = jobUuid === "" ? all : [this.#sessionOf(jobUuid, peer)];
    let jobs = 0;
    for (const session of changed) {
      if (session?.setBandwidth(bytesPerSec) === true) jobs++;
    }
    return { jobs };
  }

  async #run(session: JobSession, { signal }: CallContext): Promise<void> {
    const { jobUuid, jobId } = session.request;
    const { maximumConcurrentJobs, name } = this.#options.config();
    if (this.#closing)
      throw new BackupError("DAEMON_ENDING", `file daemon "${name}" is ending`, { retry: "later" });
    if (this.#sessions.has(jobUuid)) throw new BackupError("JOB_RUNS", `JobId ${jobId} runs here already`);
    if (this.#sessions.size >= maximumConcurrentJobs) {
      const text = `file daemon "${name}" runs ${maximumConcurrentJobs} jobs already (MaximumConcurrentJobs)`;
      throw new BackupError("TOO_MANY_JOBS", text, { retry: "later" });
    }
    const lost = (): void => session.stop("the connection to the director was lost");
    signal.addEventListener("abort", lost, { once: true });
    if (signal.aborted) lost();
    const ended = session.run().finally(() => {
      this.#sessions.delete(jobUuid);
      signal.removeEventListener("abort", lost);
    });
    this.#sessions.set(jobUuid, { session, ended });
    await ended;
  }

  /** @throws BackupError TICKET_INVALID, TICKET_EXPIRED */
  #checkTicket(request: JobRequest & { ticket: string }, kind: Ticket["kind"], director: Peer): Ticket {
    const ticket = verifyTicket(request.ticket, this.#options.ticketKey(), nowMs());
    const wanted = {
      kind,
      jobUuid: request.jobUuid,
      jobId: request.jobId,
      storage: request.storage,
      director: director.name,
      client: this.#options.config().name,
    };
    for (const [field, value] of Object.entries(wanted)) {
      if (ticket[field as keyof typeof wanted] === value) continue;
      throw new BackupError("TICKET_INVALID", `the ticket of JobId ${request.jobId} is for another ${field}`);
    }
    return ticket;
  }

  async #serveBackup(stream: DataStream, peer: Peer): Promise<void> {
    const incoming = stream.incoming[Symbol.asyncIterator]();
    const start = await readFirst(incoming, BackupKind.start, checkStart);
    const session = this.#backupOf(start);
    const ticket = verifyTicket(start.ticket, this.#options.ticketKey(), nowMs());
    this.#tickets.take(ticket, nowMs());
    await session.calls.serve({ stream, incoming, start }, peer, this.#options.protocol);
  }

  /** The ticket is the one that the other call takes. */
  async #serveLists(stream: DataStream, peer: Peer): Promise<void> {
    const incoming = stream.incoming[Symbol.asyncIterator]();
    const start = await readFirst(incoming, BackupKind.lists, checkListsStart);
    await this.#backupOf(start).calls.serveLists({ stream, incoming }, start.ticket, peer);
  }

  #backupOf({ jobUuid, jobId }: { jobUuid: string; jobId: number }): BackupSession {
    const session = this.#sessions.get(jobUuid)?.session;
    if (session instanceof BackupSession) return session;
    throw new BackupError("JOB_UNKNOWN", `no backup with this number is expected here (JobId ${jobId})`);
  }

  #serveTest(stream: DataStream, peer: Peer): Promise<void> {
    const { config, ticketKey } = this.#options;
    const take = (ticket: Ticket): void => this.#tickets.take(ticket, nowMs());
    return serveNetworkTest({ name: config().name, ticketKey, take }, stream, peer);
  }
}
