/** What a caller shows that it may have a job's data. */

import { BackupError, codeOf } from "../common/errors.js";
import { type Ticket, verifyTicket } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import { decodeJson } from "../proto/data/backup.js";
import { RestoreKind, type RestoreRequest } from "../proto/data/restore.js";
import type { DataStream } from "../proto/rpc.js";

/** @throws BackupError TICKET_INVALID also for text that is no ticket at all */
export function readTicket(text: string, key: Buffer): Ticket {
  try {
    return verifyTicket(text, key, nowMs());
  } catch (error) {
    if (codeOf(error)?.startsWith("TICKET_") === true) throw error;
    throw new BackupError("TICKET_INVALID", "the job's ticket is garbled", { cause: error });
  }
}

/** Leaves the stream open. @throws BackupError PROTOCOL_VIOLATION */
export async function firstRequest(stream: DataStream): Promise<RestoreRequest> {
  // Not a for loop: leaving one would close the stream.
  const iterator = stream.incoming[Symbol.asyncIterator]();
  const { value, done } = await iterator.next();
  if (done === true || value[0] !== RestoreKind.request) {
    throw new BackupError("PROTOCOL_VIOLATION", "the client sent no restore request");
  }
  const request = decodeJson<Partial<RestoreRequest>>(value);
  const { protocol, jobUuid, ticket, client } = request;
  const numbers = Number.isSafeInteger(protocol?.major) && Number.isSafeInteger(protocol?.minor);
  if (!numbers || typeof jobUuid !== "string" || typeof ticket !== "string") {
    throw new BackupError("PROTOCOL_VIOLATION", "the client sent a garbled restore request");
  }
  return { protocol: protocol!, jobUuid, ticket, client: String(client) };
}

/** A good ticket that was signed for something else. */
export function mismatch(what: string): BackupError {
  return new BackupError("TICKET_INVALID", `the job's ticket is for another ${what}`);
}
