/**
 * Messages that leave the director by mail or webhook: lines that wait for the end of their job, and what waits for
 * a server to take it. Both survive restarts.
 */

import type { Database, Statement } from "better-sqlite3";

/** A line that will be mailed. */
export interface MailLine {
  jobId: number;
  /** Messages resource that it goes by. */
  messages: string;
  /** Message type. */
  type: string;
  /** With the message's head, as printed. */
  text: string;
}

/** `mail` and `operator` are mails, the latter at once; `webhook`: one message as JSON. */
export type OutKind = "mail" | "operator" | "webhook";

/** Something that waits to be sent; times are ms. */
export interface OutItem {
  id: number;
  /** Stays the same over all attempts: the Message-ID, the Idempotency-Key. */
  uuid: string;
  kind: OutKind;
  /** Messages resource that says how it is sent. */
  messages: string;
  /** Addresses with commas between them, or the URL as configured. */
  target: string;
  subject: string;
  body: string;
  /** 0: no job. */
  jobId: number;
  /** Job resource, "" for no job. */
  jobName: string;
  createdMs: number;
  nextMs: number;
  /** Failed ones. */
  attempts: number;
}

/** Lines of one job that are kept: so many from its start, so many from its end. */
const HEAD_LINES = 5000;
const TAIL_LINES = 5000;
/** What waits for servers; beyond it the oldest go. */
const MAX_ITEMS: Readonly<Record<Lane, number>> = { mail: 1000, webhook: 10_000 };
const MAX_BYTES: Readonly<Record<Lane, number>> = { mail: 100_000_000, webhook: 50_000_000 };
/** Webhook messages come in numbers: they are counted once in so many. */
const COUNT_EVERY = 100;
/** Operator messages that wait for the same people become one mail of at most this length. */
const MAX_JOINED = 65_536;

/** Mails and webhooks are sent independently of each other. */
export type Lane = "mail" | "webhook";

const KINDS: Readonly<Record<Lane, string>> = { mail: "('mail', 'operator')", webhook: "('webhook')" };
const COLUMNS =
  "id, uuid, kind, messages, target, subject, body, job_id AS jobId, job_name AS jobName, " +
  "created_ms AS createdMs, next_ms AS nextMs, attempts";

/** How many lines of a job there are, and where its middle begins, which goes first. */
interface Count {
  lines: number;
  headEnd: number;
  dropped: number;
}

export class OutboxTable {
  readonly #db: Database;
  readonly #insertLine: Statement;
  readonly #counts = new Map<number, Count>();
  #hooks = 0;

  constructor(db: Database) {
    this.#db = db;
    this.#insertLine = db.prepare("INSERT INTO mail_line (job_id, messages, type, text) VALUES (?, ?, ?, ?)");
  }

  /** Keeps a line until `takeLines`. Of a job with very many the middle ones go. */
  addLine({ jobId, messages, type, text }: MailLine): void {
    const id = this.#insertLine.run(jobId, messages, type, text).lastInsertRowid as number;
    const count = this.#counts.get(jobId) ?? this.#counted(jobId);
    this.#counts.set(jobId, count);
    count.lines += 1;
    if (count.lines === HEAD_LINES) count.headEnd = id;
    if (count.lines <= HEAD_LINES + 2 * TAIL_LINES) return;
    const first = this.#db
      .prepare("SELECT id FROM mail_line WHERE job_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?")
      .pluck()
      .get(jobId, TAIL_LINES - 1) as number;
    const sql = "DELETE FROM mail_line WHERE job_id = ? AND id > ? AND id < ?";
    const gone = this.#db.prepare(sql).run(jobId, count.headEnd, first).changes;
    count.lines -= gone;
    count.dropped += gone;
  }

  /** Lines of a job in their order, how many are missing from their middle, and after how many. They are gone then. */
  takeLines(jobId: number): { lines: MailLine[]; dropped: number; after: number } {
    const select = "SELECT job_id AS jobId, messages, type, text FROM mail_line WHERE job_id = ? ORDER BY id";
    const lines = this.#db.prepare(select).all(jobId) as MailLine[];
    this.#db.prepare("DELETE FROM mail_line WHERE job_id = ?").run(jobId);
    const dropped = this.#counts.get(jobId)?.dropped ?? 0;
    this.#counts.delete(jobId);
    return { lines, dropped, after: HEAD_LINES };
  }

  /** Jobs that have lines. */
  jobsWithLines(): number[] {
    return this.#db
      .prepare("SELECT DISTINCT job_id FROM mail_line ORDER BY job_id")
      .pluck()
      .all() as number[];
  }

  /** Queues something; how many older ones had to go for it. */
  add(item: Omit<OutItem, "id" | "attempts">): number {
    const sql =
      "INSERT INTO outbox (uuid, kind, messages, target, subject, body, job_id, job_name, created_ms, next_ms) " +
      "VALUES (@uuid, @kind, @messages, @target, @subject, @body, @jobId, @jobName, @createdMs, @nextMs)";
    this.#db.prepare(sql).run(item);
    if (item.kind !== "webhook") return this.#bound("mail");
    this.#hooks += 1;
    return this.#hooks % COUNT_EVERY === 0 ? this.#bound("webhook") : 0;
  }

  /** Adds text to an operator's mail that waits for its first attempt; false when there is none that fits. */
  join(item: { messages: string; target: string; subject: string; text: string; except: number }): boolean {
    const sql =
      "UPDATE outbox SET body = body || @text WHERE id = (SELECT max(id) FROM outbox WHERE kind = 'operator' " +
      "AND messages = @messages AND target = @target AND subject = @subject AND id <> @except) " +
      `AND attempts = 0 AND length(body) < ${MAX_JOINED}`;
    return this.#db.prepare(sql).run(item).changes > 0;
  }

  /** The oldest ones whose time has come. */
  due(lane: Lane, atMs: number, limit: number): OutItem[] {
    const sql = `SELECT ${COLUMNS} FROM outbox WHERE kind IN ${KINDS[lane]} AND next_ms <= ? ORDER BY id LIMIT ?`;
    return this.#db.prepare(sql).all(atMs, limit) as OutItem[];
  }

  /** When the next one is due; undefined when nothing waits. */
  nextMs(lane: Lane): number | undefined {
    const sql = `SELECT min(next_ms) FROM outbox WHERE kind IN ${KINDS[lane]}`;
    return (this.#db.prepare(sql).pluck().get() as number | null) ?? undefined;
  }

  count(): number {
    return this.#db.prepare("SELECT count(*) FROM outbox").pluck().get() as number;
  }

  /** Sent, or given up. */
  remove(ids: readonly number[]): void {
    const sql = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))";
    this.#db.prepare(sql).run(JSON.stringify(ids));
  }

  /** Puts these off after a failed attempt; `target`: only to these recipients from now on. */
  postpone(ids: readonly number[], nextMs: number, target?: string): void {
    const sql =
      "UPDATE outbox SET next_ms = ?, attempts = attempts + 1, target = coalesce(?, target) " +
      "WHERE id IN (SELECT value FROM json_each(?))";
    this.#db.prepare(sql).run(nextMs, target ?? null, JSON.stringify(ids));
  }

  /** Spares a server that does not answer the rest of what waits for it. */
  hold(lane: Lane, messages: string, nextMs: number, target?: string): void {
    const sql =
      `UPDATE outbox SET next_ms = max(next_ms, ?) WHERE kind IN ${KINDS[lane]} AND messages = ?` +
      (target === undefined ? "" : " AND target = ?");
    this.#db.prepare(sql).run(nextMs, messages, ...(target === undefined ? [] : [target]));
  }

  /** What waits for a server is tried at once: for a start, or after the configuration was read again. */
  release(atMs: number): void {
    this.#db.prepare("UPDATE outbox SET next_ms = ? WHERE next_ms > ?").run(atMs, atMs);
  }

  #counted(jobId: number): Count {
    const sql = "SELECT count(*) FROM mail_line WHERE job_id = ?";
    const lines = this.#db.prepare(sql).pluck().get(jobId) as number;
    // The line at hand is counted by the caller. Lines of an earlier process count as a head.
    return { lines: lines - 1, headEnd: 0, dropped: 0 };
  }

  #bound(lane: Lane): number {
    const kinds = KINDS[lane];
    const { items, bytes } = this.#db
      .prepare(
        `SELECT count(*) AS items, sum(octet_length(body)) AS bytes FROM outbox WHERE kind IN ${kinds}`,
      )
      .get() as { items: number; bytes: number };
    if (items <= MAX_ITEMS[lane] && bytes <= MAX_BYTES[lane]) return 0;
    // A tenth at a time, so that this is not the price of every message.
    const many = Math.max(1, Math.floor(items / 10));
    const oldest = `SELECT id FROM outbox WHERE kind IN ${kinds} ORDER BY id LIMIT ?`;
    return this.#db.prepare(`DELETE FROM outbox WHERE id IN (${oldest})`).run(Math.min(many, items - 1))
      .changes;
  }
}
