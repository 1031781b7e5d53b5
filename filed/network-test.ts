/** filed's side of `status network`: it gives, takes and answers what storaged asks for, and keeps nothing. */

import { BackupError } from "../common/errors.js";
import { GarbledInput } from "../common/format/varint.js";
import { type Ticket, verifyTicket } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import { decodeJson } from "../proto/data/backup.js";
import {
  checkNetworkStart,
  NetworkKind,
  type NetworkStart,
  sendFiller,
  takeFiller,
  takeKind,
} from "../proto/data/network.js";
import type { DataStream, Peer } from "../proto/rpc.js";

export interface NetworkTestDeps {
  /** The client that this daemon is. */
  name: string;
  ticketKey: () => Buffer;
  /** Takes each ticket once. @throws BackupError TICKET_USED */
  take: (ticket: Ticket) => void;
}

/** Serves one test until storaged ends it. @throws BackupError TICKET_*, PROTOCOL_ERROR, or when the stream breaks */
export async function serveNetworkTest(deps: NetworkTestDeps, stream: DataStream, peer: Peer): Promise<void> {
  const incoming = stream.incoming[Symbol.asyncIterator]();
  const { ticket: text, bytes } = readStart(await takeKind(incoming, NetworkKind.start));
  const ticket = verifyTicket(text, deps.ticketKey(), nowMs());
  if (ticket.kind !== "network" || ticket.client !== deps.name || ticket.storage !== peer.name)
    throw new BackupError("TICKET_INVALID", "the ticket of a network test is for something else");
  deps.take(ticket);
  for (;;) {
    const { value, done } = await incoming.next();
    if (done === true) break;
    if (value[0] === NetworkKind.give) await sendFiller(stream, bytes);
    else if (value[0] === NetworkKind.filler) {
      await takeFiller(incoming, bytes, value);
      await stream.send(Buffer.of(NetworkKind.taken));
    } else if (value[0] === NetworkKind.ping) await stream.send(Buffer.of(NetworkKind.ping));
    else throw new BackupError("PROTOCOL_ERROR", "storaged asks for something unknown in a network test");
  }
  await stream.end();
}

function readStart(message: Buffer): NetworkStart {
  try {
    return checkNetworkStart(decodeJson<Partial<NetworkStart>>(message));
  } catch (cause) {
    if (!(cause instanceof GarbledInput)) throw cause;
    throw new BackupError("PROTOCOL_ERROR", `the storage daemon's call is garbled: ${cause.message}`);
  }
}
