/**
 * Job tickets: what the director grants, signed, to the two daemons of one job (Ed25519, RFC 8032).
 * Text form: base64url(JSON) "." base64url(signature over the first part).
 */
import { createPrivateKey, createPublicKey, randomUUID, sign, verify } from "node:crypto";
import { BackupError } from "./errors.js";

export interface Ticket {
  /** Unique; a daemon takes each one once. */
  id: string;
  jobId: number;
  jobUuid: string;
  kind: "backup" | "restore" | "verify" | "copy" | "network";
  director: string;
  /** Client whose filed takes part. */
  client: string;
  /** Storage whose storaged takes part: of a copy the one that writes it. */
  storage: string;
  /** Of a copy: the storage daemon that has the original. */
  from?: string;
  /** Pool to append to; "" for a restore. */
  pool: string;
  expiresMs: number;
}

/** A ticket without its id becomes a signed text. `privateKeyPem`: PKCS#8 Ed25519. */
export function signTicket(ticket: Omit<Ticket, "id">, privateKeyPem: string | Buffer): string {
  const body = Buffer.from(JSON.stringify({ ...ticket, id: randomUUID() })).toString("base64url");
  const signature = sign(null, Buffer.from(body), createPrivateKey(privateKeyPem));
  return `${body}.${signature.toString("base64url")}`;
}

/**
 * @throws BackupError TICKET_INVALID (not signed by this director, garbled) or TICKET_EXPIRED.
 */
export function verifyTicket(text: string, publicKeyPem: string | Buffer, nowMs: number): Ticket {
  const [body = "", signature = ""] = text.split(".");
  const valid = verify(
    null,
    Buffer.from(body),
    createPublicKey(publicKeyPem),
    Buffer.from(signature, "base64url"),
  );
  if (!valid) {
    throw new BackupError("TICKET_INVALID", "the job's ticket is not signed by this installation's director");
  }
  const ticket = JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as Ticket;
  if (ticket.expiresMs < nowMs)
    throw new BackupError("TICKET_EXPIRED", `the ticket of JobId ${ticket.jobId} has expired`);
  return ticket;
}

/** Remembers tickets until they expire, so that none is taken twice. */
export class TicketBook {
  readonly #used = new Map<string, number>();

  /** @throws BackupError TICKET_USED */
  take(ticket: Ticket, nowMs: number): void {
    for (const [id, expiresMs] of this.#used) if (expiresMs < nowMs) this.#used.delete(id);
    if (this.#used.has(ticket.id)) {
      throw new BackupError("TICKET_USED", `the ticket of JobId ${ticket.jobId} was used before`);
    }
    this.#used.set(ticket.id, ticket.expiresMs);
  }
}
