/**
 * The part of messages that leaves the machine. What is mailed about a job is kept line by line and becomes one mail
 * when the job has ended; operator messages and webhooks go at once; what belongs to no job is gathered for a minute.
 * From the first line on everything is in the database.
 */

import { randomUUID } from "node:crypto";
import { nowMs } from "../../common/time.js";
import type { MessageDestination, MessagesResource } from "../config/types-messages.js";
import type { DirectorDb } from "../db/database.js";
import type { MailLine, OutKind } from "../db/outbox.js";
import { accepts } from "./filter.js";
import { mailText, sendsFor, subjectOf } from "./mail-text.js";
import type { WebhookMessage } from "./send-webhook.js";
import type { MessageType } from "./types.js";

export interface OutgoingOptions {
  db: DirectorDb;
  /** The director's name. */
  name: string;
  /** Address of a Client resource, "" when it is not known. */
  clientAddress: (client: string) => string;
  /** Called when something was queued. */
  queued: () => void;
  /** The mail that is being sent; 0: none. */
  sending: () => number;
  /** When something new for this server may be sent, ms. */
  earliest: (item: { kind: OutKind; messages: string; target: string }) => number;
  /** Hears what is lost. */
  trouble: (about: { jobId: number; jobName: string }, text: string) => void;
}

/** A message on its way to destinations outside. */
export interface OutgoingMessage {
  /** 0: no job. */
  jobId: number;
  /** Job resource, "" for no job. */
  jobName: string;
  timeMs: number;
  daemon: string;
  type: MessageType;
  /** As given, without head. */
  text: string;
  /** As printed. */
  line: string;
  resource: MessagesResource;
}

const GATHER_MS = 60_000;
const MAILS: ReadonlySet<string> = new Set(["mail", "mailOnError", "mailOnSuccess"]);
/** Jobs whose mail has gone and that may still get a late message. */
const REMEMBERED = 1000;

export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #ended = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** True when a destination is for this class. */
  static takes(destination: MessageDestination): boolean {
    return MAILS.has(destination.kind) || destination.kind === "operator" || destination.kind === "webhook";
  }

  /** Keeps or queues a message for the destinations that take it. To be called inside a transaction. */
  add(message: OutgoingMessage, destinations: readonly MessageDestination[]): void {
    if (destinations.some(({ kind }) => MAILS.has(kind))) this.#keep(message);
    for (const destination of destinations) {
      if (destination.kind === "operator") this.#tellOperator(message, destination.target ?? "");
      else if (destination.kind === "webhook") this.#callHook(message, destination.target ?? "");
    }
  }

  /** A job begins, maybe anew under its number. */
  beginJob(jobId: number): void {
    this.#ended.delete(jobId);
  }

  /** Makes the mails of an ended job of the lines kept for it. To be called inside a transaction. */
  endJob(jobId: number, resourceOf: (name: string) => MessagesResource | undefined): void {
    this.#compose(jobId, resourceOf);
    this.#ended.add(jobId);
    if (this.#ended.size > REMEMBERED) this.#ended.delete(this.#ended.values().next().value!);
  }

  /**
   * Mails what an earlier process kept and never sent: of no job, and of jobs that have ended. To be called before
   * jobs are taken up again.
   */
  recover(resourceOf: (name: string) => MessagesResource | undefined): void {
    const { db } = this.#options;
    for (const jobId of db.outbox.jobsWithLines()) {
      const status = db.jobs.get(jobId)?.status;
      if (status !== "C" && status !== "R") this.#compose(jobId, resourceOf);
    }
  }

  /** Calls `work` when what belongs to no job is to be mailed. */
  onGathered: () => void = () => undefined;

  close(): void {
    clearTimeout(this.#timer);
  }

  #keep({ jobId, resource, type, line }: OutgoingMessage): void {
    const late = jobId === 0 || this.#ended.has(jobId);
    this.#options.db.outbox.addLine({ jobId: late ? 0 : jobId, messages: resource.name, type, text: line });
    if (!late || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.onGathered();
    }, GATHER_MS);
    this.#timer.unref();
  }

  #compose(jobId: number, resourceOf: (name: string) => MessagesResource | undefined): void {
    const { db } = this.#options;
    const { lines, dropped, after } = db.outbox.takeLines(jobId);
    const byResource = new Map<string, MailLine[]>();
    for (const line of lines) byResource.set(line.messages, [...(byResource.get(line.messages) ?? []), line]);
    for (const [name, own] of byResource) {
      const resource = resourceOf(name);
      if (resource === undefined) {
        const about = { jobId, jobName: db.jobs.get(jobId)?.name ?? "" };
        const why = `Messages "${name}" is not in the configuration any more`;
        this.#options.trouble(about, `${own.length} messages were not mailed: ${why}`);
      }
      for (const destination of resource?.destinations ?? []) {
        const missing = { count: dropped, after };
        this.#mail(jobId, { resource: resource!, destination, lines: own, missing });
      }
    }
  }

  #mail(
    jobId: number,
    parts: {
      resource: MessagesResource;
      destination: MessageDestination;
      lines: readonly MailLine[];
      missing: { count: number; after: number };
    },
  ): void {
    const { resource, destination, lines, missing } = parts;
    if (!MAILS.has(destination.kind)) return;
    const record = jobId === 0 ? undefined : this.#options.db.jobs.get(jobId);
    if (!sendsFor(destination.kind, record?.status)) return;
    const taken = lines.filter(({ type }) => accepts(destination.types, type as MessageType));
    if (taken.length === 0) return;
    const recipients = destination.target ?? "";
    this.#queue("mail", {
      resource,
      recipients,
      jobId,
      subject: this.#subject(resource.mail?.subject, jobId, recipients),
      body: mailText(
        taken.map(({ text }) => text),
        missing,
      ),
      jobName: record?.name ?? "",
    });
  }

  #tellOperator({ resource, jobId, jobName, line }: OutgoingMessage, recipients: string): void {
    const subject = this.#subject(resource.mail?.operatorSubject, jobId, recipients);
    const text = `${line}\n`;
    const except = this.#options.sending();
    const { outbox } = this.#options.db;
    if (outbox.join({ messages: resource.name, target: recipients, subject, text, except })) return;
    this.#queue("operator", { resource, recipients, jobId, jobName, subject, body: text });
  }

  #callHook(message: OutgoingMessage, target: string): void {
    const { resource, jobId, jobName, timeMs, daemon, type, text } = message;
    const body: WebhookMessage = {
      time: new Date(timeMs).toISOString(),
      daemon,
      jobId,
      job: jobName,
      type,
      text: text.slice(0, 65_536),
    };
    this.#queue("webhook", {
      resource,
      recipients: target,
      jobId,
      jobName,
      subject: "",
      body: JSON.stringify(body),
    });
  }

  #subject(template: string | undefined, jobId: number, recipients: string): string {
    const { db, name, clientAddress } = this.#options;
    const record = jobId === 0 ? undefined : db.jobs.get(jobId);
    const address = record === undefined ? "" : clientAddress(record.client);
    return subjectOf(template ?? "", { record, director: name, clientAddress: address, recipients });
  }

  #queue(
    kind: OutKind,
    item: {
      resource: MessagesResource;
      recipients: string;
      jobId: number;
      jobName: string;
      subject: string;
      body: string;
    },
  ): void {
    const { resource, recipients, ...rest } = item;
    const to = { kind, messages: resource.name, target: recipients };
    const times = { createdMs: nowMs(), nextMs: this.#options.earliest(to) };
    const dropped = this.#options.db.outbox.add({ ...rest, ...to, ...times, uuid: randomUUID() });
    const about = { jobId: 0, jobName: "" };
    if (dropped > 0)
      this.#options.trouble(about, `${dropped} waiting mails or webhook messages were dropped: too many`);
    this.#options.queued();
  }
}
