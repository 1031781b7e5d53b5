/**
 * Sends what waits in the outbox: mails one after the other, webhook messages in small batches, beside each other.
 * A server that does not take them holds nothing up: they stay in the database and are tried again, at growing
 * distances and over restarts, until they are too old. Nothing is given up in silence.
 */

import { BackupError, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import type { MessagesResource } from "../config/types-messages.js";
import type { Lane, OutboxTable, OutItem } from "../db/outbox.js";
import { sendMail } from "./send-mail.js";
import { callWebhook, type WebhookMessage, webhookText } from "./send-webhook.js";

export interface OutboxOptions {
  table: OutboxTable;
  /** The director's name. */
  name: string;
  log: Log;
  /** The resource of this name as configured now. */
  resource: (name: string) => MessagesResource | undefined;
  /** Hears what is late or lost, for the job it is about. */
  trouble: (about: { jobId: number; jobName: string }, text: string) => void;
}

const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;
/** As long as mail servers among themselves go on. */
const GIVE_UP_MS = 5 * 86_400_000;
const HOOKS_AT_ONCE = 100;
const LANES: readonly Lane[] = ["mail", "webhook"];

/** How an attempt ended. */
interface Outcome {
  sent: boolean;
  /** Not sent: why. */
  error?: BackupError;
  /** Sent, but not to these addresses; they are tried again. */
  left?: string;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #end = new AbortController();
  readonly #busy = new Map<Lane, Promise<void>>();
  readonly #timers = new Map<Lane, NodeJS.Timeout>();
  /** Servers that failed; told once, until they take something again. */
  readonly #broken = new Set<string>();
  /** Servers that are left alone until then, ms. */
  readonly #held = new Map<string, number>();
  /** Attempts whose outcome the database did not take. It comes first: what was sent is not to be sent again. */
  readonly #unsettled = new Map<Lane, () => void>();
  #sending = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** The mail that is being sent, which must not change any more; 0: none. */
  get sending(): number {
    return this.#sending;
  }

  /** When something new may be sent, ms: later than now while its server is left alone. */
  earliest(item: Pick<OutItem, "kind" | "messages" | "target">): number {
    return Math.max(nowMs(), this.#held.get(serverOf(item)) ?? 0);
  }

  /** Sends what is due; to be called after something was added. */
  kick(): void {
    for (const lane of LANES) this.#run(lane);
  }

  /** Everything that waits is due at once: after a start, or when the configuration was read again. */
  retryNow(): void {
    this.#held.clear();
    this.#options.table.release(nowMs());
    this.kick();
  }

  /** Breaks off what is being sent, which is sent again after the next start. Nothing is sent any more. */
  async close(): Promise<void> {
    this.#end.abort(new BackupError("SHUTDOWN", "the director ends"));
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#busy.values());
  }

  #run(lane: Lane): void {
    if (this.#end.signal.aborted || this.#busy.has(lane)) return;
    clearTimeout(this.#timers.get(lane));
    const work = this.#drain(lane)
      .then(() => this.#pauseMs(lane))
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#options.log.error(`outbox: ${describeError(error)}`);
        return FIRST_RETRY_MS;
      })
      .then((pauseMs) => {
        this.#busy.delete(lane);
        this.#wait(lane, pauseMs);
      });
    this.#busy.set(lane, work);
  }

  /** Until the next one is due; undefined: nothing waits. */
  #pauseMs(lane: Lane): number | undefined {
    if (this.#end.signal.aborted) return undefined;
    const next = this.#options.table.nextMs(lane);
    // A clock that is set back must not put this off for long.
    return next === undefined ? undefined : Math.min(Math.max(next - nowMs(), 0), LONGEST_RETRY_MS);
  }

  #wait(lane: Lane, pauseMs: number | undefined): void {
    if (this.#end.signal.aborted || pauseMs === undefined) return;
    const timer = setTimeout(() => this.#run(lane), pauseMs);
    timer.unref();
    this.#timers.set(lane, timer);
  }

  async #drain(lane: Lane): Promise<void> {
    const { table } = this.#options;
    this.#unsettled.get(lane)?.();
    this.#unsettled.delete(lane);
    while (!this.#end.signal.aborted) {
      const due = table.due(lane, nowMs(), lane === "mail" ? 1 : HOOKS_AT_ONCE);
      const [first] = due;
      if (first === undefined) return;
      const batch = due.filter((item) => item.messages === first.messages && item.target === first.target);
      const outcome = await this.#attempt(first, batch);
      if (this.#end.signal.aborted && !outcome.sent) return;
      const settle = (): void => this.#settle(lane, batch, outcome);
      this.#unsettled.set(lane, settle);
      settle();
      this.#unsettled.delete(lane);
    }
  }

  async #attempt(first: OutItem, batch: readonly OutItem[]): Promise<Outcome> {
    const resource = this.#options.resource(first.messages);
    try {
      return first.kind === "webhook" ? await this.#call(resource, batch) : await this.#mail(resource, first);
    } catch (error) {
      const known = error instanceof BackupError ? error : undefined;
      return {
        sent: false,
        error: known ?? new BackupError("MAIL_SERVER", describeError(error), { retry: "later" }),
      };
    }
  }

  async #mail(resource: MessagesResource | undefined, item: OutItem): Promise<Outcome> {
    if (resource?.mail === undefined) throw notConfigured(item);
    const recipients = item.target.split(",").map((part) => part.trim());
    const { uuid, subject, body: text, createdMs: timeMs } = item;
    const mail = { uuid, recipients, subject, text, timeMs };
    this.#sending = item.id;
    const sent = sendMail(resource.mail, mail, this.#end.signal);
    const { refused } = await sent.finally(() => {
      this.#sending = 0;
    });
    for (const { address, reason, final } of refused)
      if (final) this.#options.trouble(item, `${titleOf(item)}: ${address} was refused: ${reason}`);
    const left = refused.filter(({ final }) => !final).map(({ address }) => address);
    return left.length === 0 ? { sent: true } : { sent: true, left: left.join(", ") };
  }

  async #call(resource: MessagesResource | undefined, batch: readonly OutItem[]): Promise<Outcome> {
    const first = batch[0]!;
    if (resource?.webhook === undefined) throw notConfigured(first);
    const messages = batch.map((item) => JSON.parse(item.body) as WebhookMessage);
    const body = { director: this.#options.name, messages };
    const call = { target: first.target, key: first.uuid, body };
    await callWebhook(call, resource.webhook, this.#end.signal);
    return { sent: true };
  }

  #settle(lane: Lane, batch: readonly OutItem[], { sent, error, left }: Outcome): void {
    const { table, trouble, log } = this.#options;
    const first = batch[0]!;
    const ids = batch.map((item) => item.id);
    const server = serverOf(first);
    const now = nowMs();
    if (sent) {
      this.#held.delete(server);
      if (this.#broken.delete(server)) log.info(`${whereTo(first)} takes messages again`);
      if (left === undefined) table.remove(ids);
      else table.postpone(ids, now + pauseAfter(first.attempts), left);
      return;
    }
    const why = error?.message ?? "unknown reason";
    const old = now - first.createdMs >= GIVE_UP_MS;
    if (error?.retry === "never" || old) {
      table.remove(ids);
      const when = old ? `given up after ${GIVE_UP_MS / 86_400_000} days` : "not sent";
      for (const item of batch) trouble(item, `${titleOf(item)} was ${when}: ${why}`);
      return;
    }
    const next = now + pauseAfter(first.attempts);
    table.postpone(ids, next);
    if (error?.code === "MAIL_REFUSED") {
      this.#tellOnce(`${server} ${first.id}`, first, why);
      return;
    }
    this.#held.set(server, next);
    table.hold(lane, first.messages, next, lane === "webhook" ? first.target : undefined);
    this.#tellOnce(server, first, why);
  }

  #tellOnce(key: string, item: OutItem, why: string): void {
    if (this.#broken.has(key)) return;
    if (this.#broken.size > 1000) this.#broken.clear();
    this.#broken.add(key);
    const text = `${titleOf(item)} could not be sent: ${why}. It is kept, as is what follows, and tried again.`;
    this.#options.trouble(item, text);
  }
}

/** What fails together: a webhook, or the mail server of a Messages resource. */
function serverOf({ kind, messages, target }: Pick<OutItem, "kind" | "messages" | "target">): string {
  return kind === "webhook" ? `webhook ${messages} ${target}` : `mail ${messages}`;
}

function pauseAfter(attempts: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts, 10), LONGEST_RETRY_MS);
}

function notConfigured({ kind, messages }: OutItem): BackupError {
  const what = kind === "webhook" ? "webhook" : "mail";
  const message = `Messages "${messages}" has no ${what} destination in the configuration any more`;
  return new BackupError("NOT_CONFIGURED", message, { retry: "later" });
}

function whereTo({ kind, target }: OutItem): string {
  return kind === "webhook" ? `webhook ${webhookText(target)}` : `the mail server for ${target}`;
}

function titleOf(item: OutItem): string {
  const about = item.jobId > 0 ? `about JobId ${item.jobId}` : "of the director";
  if (item.kind === "webhook") return `A message ${about} for webhook ${webhookText(item.target)}`;
  return `Mail ${about} to ${item.target} ("${item.subject}")`;
}
