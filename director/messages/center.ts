/**
 * Takes every message of the director and its jobs to the destinations of the job's Messages resource.
 * Database destinations are written in batches, at most 50 ms late, and before anybody reads; `flush` settles them.
 * Messages for consoles stay in the database until they were read, over restarts; so do mails and webhook messages
 * until a server has taken them (`start` sends, `close` ends that).
 */

import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { MessagesResource } from "../config/types-messages.js";
import type { DirectorDb } from "../db/database.js";
import { accepts, DEFAULT_MESSAGES, destinationsFor } from "./filter.js";
import { Outbox } from "./outbox.js";
import { Outgoing } from "./outgoing.js";
import { Sinks } from "./sinks.js";
import { formatMessage, type MessageType } from "./types.js";

/** Whom a message belongs to; JobId 0 and an empty name: no job. */
export interface MessageSource {
  jobId: number;
  /** Job resource. */
  name: string;
  messages?: MessagesResource | undefined;
}

export interface MessageOrigin {
  /** Name of the daemon that speaks. (Default: the director's) */
  daemon?: string;
  /** (Default: now) */
  timeMs?: number;
  /** Neither mailed nor sent to webhooks: it is about these. */
  local?: boolean;
}

export interface MessageCenterOptions {
  db: DirectorDb;
  /** The director's name. */
  name: string;
  log: Log;
  /** The resource for what belongs to no job. */
  daemonMessages: () => MessagesResource | undefined;
  /** The Messages resource of this name. (Default: as last used) */
  resource?: (name: string) => MessagesResource | undefined;
  /** Address of a Client resource, for subjects of mails. */
  clientAddress?: (client: string) => string | undefined;
}

const FLUSH_MS = 50;
const FLUSH_COUNT = 1000;
const TAKE_COUNT = 1000;

type Pending = () => void;

export class MessageCenter {
  readonly #options: MessageCenterOptions;
  readonly #sinks: Sinks;
  readonly #listeners = new Set<() => void>();
  /** `file` destinations begun by a job: the first message of another job starts them anew. */
  readonly #fileOwner = new Map<string, number>();
  /** Messages resources as last used. */
  readonly #used = new Map<string, MessagesResource>();
  readonly #outbox: Outbox;
  readonly #outgoing: Outgoing;
  #sends = false;
  #pending: Pending[] = [];
  #forConsoles = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MessageCenterOptions) {
    this.#options = options;
    const { db, name, log } = options;
    this.#sinks = new Sinks(name, log);
    const resource = (used: string) => options.resource?.(used) ?? this.#used.get(used);
    const trouble = this.#trouble.bind(this);
    this.#outbox = new Outbox({ table: db.outbox, name, log, resource, trouble });
    this.#outgoing = new Outgoing({
      db,
      name,
      clientAddress: (client) => options.clientAddress?.(client) ?? client,
      queued: () => this.#queued(),
      sending: () => this.#outbox.sending,
      earliest: (item) => this.#outbox.earliest(item),
      trouble,
    });
    this.#outgoing.onGathered = () => this.#endJob(0);
  }

  /** Begins to send mails and webhook messages, also those of earlier. To be called before jobs are taken up. */
  start(): void {
    this.#sends = true;
    this.flush();
    this.#options.db.transaction(() => this.#outgoing.recover((name) => this.#resource(name)));
    this.#outbox.retryNow();
  }

  /** Tries to send at once what waits: the configuration may be another one. */
  retryNow(): void {
    if (this.#sends) this.#outbox.retryNow();
  }

  /** Writes what is in memory and ends sending; what was not sent waits for the next start. */
  async close(): Promise<void> {
    this.#outgoing.close();
    this.flush();
    await this.#outbox.close();
    this.flush();
  }

  /** A message of a job. Its text is without time and severity; further lines are printed as they are. */
  emit(source: MessageSource, type: MessageType, text: string, origin: MessageOrigin = {}): void {
    const timeMs = origin.timeMs ?? nowMs();
    const line = formatMessage(timeMs, origin.daemon ?? this.#options.name, source.jobId, type, text);
    const messages = source.messages ?? this.#options.daemonMessages() ?? DEFAULT_MESSAGES;
    const { db } = this.#options;
    const all = destinationsFor(messages, type);
    const outside = origin.local === true ? [] : all.filter((destination) => Outgoing.takes(destination));
    if (outside.length > 0) {
      this.#used.set(messages.name, messages);
      const daemon = origin.daemon ?? this.#options.name;
      const { jobId, name: jobName } = source;
      const message = { jobId, jobName, timeMs, daemon, type, text, line, resource: messages };
      this.#later(() => this.#outgoing.add(message, outside));
    }
    for (const destination of all) {
      if (Outgoing.takes(destination)) continue;
      switch (destination.kind) {
        case "console":
          this.#forConsoles = true;
          this.#later(() => db.box.add({ name: source.name, text: line }));
          break;
        case "catalog":
          this.#later(() => db.log.add({ jobId: source.jobId, timeMs, text: line }));
          break;
        case "file":
          this.#toFile(destination.target, source.jobId, line);
          break;
        case "append":
          if (destination.target !== undefined) this.#sinks.append(destination.target, `${line}\n`);
          break;
        case "syslog":
          this.#sinks.syslog(type, line);
          break;
        case "stdout":
        case "stderr":
          this.#sinks.print(destination.kind, `${line}\n`);
      }
    }
  }

  /** A job begins: its messages are gathered for its mails. */
  beginJob(jobId: number): void {
    this.#outgoing.beginJob(jobId);
  }

  /** A job has ended and said all: its mails go. Its record must be up to date. */
  endJob(source: MessageSource): void {
    if (source.messages !== undefined) this.#used.set(source.messages.name, source.messages);
    this.#endJob(source.jobId);
  }

  /** A message of the director itself. */
  daemon(type: MessageType, text: string): void {
    this.emit({ jobId: 0, name: "" }, type, text);
  }

  /** Whether any destination of the job takes this type: spares daemons from sending what nobody keeps. */
  wants(messages: MessagesResource | undefined, type: MessageType): boolean {
    const used = messages ?? this.#options.daemonMessages() ?? DEFAULT_MESSAGES;
    return used.destinations.some((destination) => accepts(destination.types, type));
  }

  /** Messages that wait for this console, of jobs that `allowed` lets pass ("": of no job). */
  pending(console: string, allowed?: (jobName: string) => boolean): number {
    this.flush();
    return this.#options.db.box.pending(console, allowed);
  }

  /**
   * The oldest unread messages of this console as printed, at most `limit`; it has read them then. Only those of
   * jobs that `allowed` lets pass are returned, the others count as read too.
   */
  take(console: string, limit = TAKE_COUNT, allowed?: (jobName: string) => boolean): string[] {
    this.flush();
    const { box } = this.#options.db;
    const taken = box.take(console, limit);
    if (taken.length > 0) box.tidy();
    return taken.filter((message) => allowed?.(message.name) ?? true).map((message) => message.text);
  }

  /** Called when messages were put into the consoles' box. Returns the unsubscriber. */
  onPending(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Writes what is still in memory. A database that fails loses these messages, not the director. `also` is written in
   * the same transaction: whoever sees its work finds the messages. If that fails, each is tried for itself.
   * Not to be called within a transaction. @throws what `also` alone throws
   */
  flush(also?: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0) {
      also?.();
      return;
    }
    const batch = this.#pending;
    const notify = this.#forConsoles;
    this.#pending = [];
    this.#forConsoles = false;
    try {
      this.#options.db.transaction(() => {
        for (const write of batch) write();
        also?.();
      });
    } catch (error) {
      if (also === undefined) {
        this.#options.log.error(`${batch.length} messages could not be kept: ${describeError(error)}`);
        return;
      }
      this.#pending = batch;
      this.#forConsoles = notify;
      this.flush();
      also();
      return;
    }
    if (notify) for (const listener of this.#listeners) listener();
  }

  #resource(name: string): MessagesResource | undefined {
    return this.#options.resource?.(name) ?? this.#used.get(name);
  }

  #endJob(jobId: number): void {
    this.flush();
    const { db, log } = this.#options;
    try {
      db.transaction(() => this.#outgoing.endJob(jobId, (name) => this.#resource(name)));
    } catch (error) {
      log.error(`the mail about JobId ${jobId} could not be made: ${describeError(error)}`);
    }
  }

  /** Something new waits in the outbox; it is sent when its transaction is over. */
  #queued(): void {
    if (this.#sends) setImmediate(() => this.#outbox.kick());
  }

  /** Late or lost mail is told where it can be: in the log, the catalog, and to consoles. */
  #trouble({ jobId, jobName }: { jobId: number; jobName: string }, text: string): void {
    const { db, log, name } = this.#options;
    log.error(text, jobId > 0 ? { jobId } : {});
    const timeMs = nowMs();
    const line = formatMessage(timeMs, name, jobId, "error", text);
    this.#forConsoles = true;
    this.#later(() => {
      db.box.add({ name: jobName, text: line });
      db.log.add({ jobId, timeMs, text: line });
    });
  }

  #later(write: Pending): void {
    this.#pending.push(write);
    if (this.#pending.length >= FLUSH_COUNT) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  #toFile(target: string | undefined, jobId: number, line: string): void {
    if (target === undefined) return;
    if (this.#fileOwner.get(target) !== jobId) this.#sinks.truncate(target);
    this.#fileOwner.set(target, jobId);
    this.#sinks.append(target, `${line}\n`);
  }
}
