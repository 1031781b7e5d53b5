/** Jobs made out of other jobs: VirtualFull, Copy and Migrate, at the daemon that writes and at the one that gives. */

import { BackupError } from "../common/errors.js";
import type { Ticket } from "../common/ticket.js";
import { decodeJson } from "../proto/data/backup.js";
import { CopyKind, type CopyRequest } from "../proto/data/copy.js";
import type { StorageCopy__Output } from "../proto/generated/basalt/v1/StorageCopy.js";
import type { StorageCopyOffer__Output } from "../proto/generated/basalt/v1/StorageCopyOffer.js";
import type { StorageVirtualFull__Output } from "../proto/generated/basalt/v1/StorageVirtualFull.js";
import type { CallContext, DataStream, Handlers, Peer } from "../proto/rpc.js";
import { checkProtocol } from "../proto/rpc.js";
import { deleteMigrated } from "./retention/migrated.js";
import type { StoragedOptions } from "./service.js";
import type { BackupSession } from "./session/backup-session.js";
import { CopyOffer } from "./session/copy-offer.js";
import { copySession } from "./session/copy-session.js";
import type { SessionDeps } from "./session/session-deps.js";
import { virtualFullSession } from "./session/virtual-full-session.js";

/** What the service lends. */
export interface CopyHost {
  options: StoragedOptions;
  backupDeps: () => SessionDeps;
  run: (session: BackupSession | CopyOffer, context: CallContext) => Promise<void>;
  /** Reads a ticket and checks that it is for this director, this job and this kind. @throws TICKET_ codes */
  checkTicket: (
    text: string,
    kind: Ticket["kind"],
    job: { jobId: number; jobUuid: string; client: string },
    director: Peer,
    storage: string,
  ) => Ticket;
  readTicket: (text: string) => Ticket;
  takeTicket: (ticket: Ticket) => void;
  /** The running session of a job. */
  session: (jobUuid: string) => unknown;
}

export function copyHandlers(
  host: CopyHost,
  exclusively: <T>(work: () => Promise<T>) => Promise<T>,
): Handlers {
  const { options } = host;
  return {
    StartVirtualFull: async (request: StorageVirtualFull__Output, context, send) =>
      host.run(await virtualFullSession(host.backupDeps(), request, send), context),
    StartCopy: async (request: StorageCopy__Output, context, send) => {
      takeCopyTicket(host, request, context.peer);
      const { catalog, deleter, log, dialStorage } = options;
      const dial = async () => {
        if (dialStorage === undefined)
          throw new BackupError("NOT_SUPPORTED", "no other storage daemon is reached from here");
        return dialStorage(request);
      };
      const deleteJobs = () => deleteMigrated(catalog, deleter, log);
      const deps = { ...host.backupDeps(), source: sourceOf(options), dial, deleteJobs, exclusively };
      await host.run(await copySession(deps, request, send), context);
    },
    OfferCopy: async (request: StorageCopyOffer__Output, context, send) => {
      const ticket = host.readTicket(request.ticket);
      // The name that the ticket gives the source must be this daemon's.
      host.checkTicket(
        request.ticket,
        "copy",
        { ...request, client: ticket.client },
        context.peer,
        request.to,
      );
      if (ticket.from !== options.config().name) throw mismatch("source");
      await host.run(new CopyOffer(sourceOf(options), request, send), context);
    },
  };
}

function takeCopyTicket(host: CopyHost, request: StorageCopy__Output, director: Peer): void {
  const { name } = host.options.config();
  const client = request.originalJob?.client ?? "";
  const { jobId, jobUuid } = request;
  const ticket = host.checkTicket(request.ticket, "copy", { jobId, jobUuid, client }, director, name);
  if (ticket.pool !== request.pool) throw mismatch("pool");
  if (ticket.from !== (request.fromName === "" ? name : request.fromName)) throw mismatch("source");
  host.takeTicket(ticket);
}

/** Serves another storage daemon that fetches what was offered to it. */
export async function serveCopyCall(host: CopyHost, stream: DataStream, peer: Peer): Promise<void> {
  const request = await firstRequest(stream);
  checkProtocol("storaged", peer.name, request.protocol);
  const ticket = host.readTicket(request.ticket);
  const offer = host.session(request.jobUuid);
  const own = offer instanceof CopyOffer && offer.to === peer.name;
  if (!own || ticket.kind !== "copy" || ticket.jobUuid !== request.jobUuid || ticket.storage !== peer.name) {
    const text = `no copy for storage daemon "${peer.name}" waits here under this ticket`;
    throw new BackupError("TICKET_INVALID", text);
  }
  host.takeTicket(ticket);
  await offer.serve(stream, request);
}

async function firstRequest(stream: DataStream): Promise<CopyRequest> {
  // Not a for loop: leaving one would close the stream.
  const { value, done } = await stream.incoming[Symbol.asyncIterator]().next();
  if (done === true || value[0] !== CopyKind.request)
    throw new BackupError("PROTOCOL_VIOLATION", "the storage daemon sent no copy request");
  const request = decodeJson<Partial<CopyRequest>>(value);
  const { protocol, jobUuid, ticket, parents, withState } = request;
  const numbers = Number.isSafeInteger(protocol?.major) && Number.isSafeInteger(protocol?.minor);
  if (!numbers || typeof jobUuid !== "string" || typeof ticket !== "string")
    throw new BackupError("PROTOCOL_VIOLATION", "the storage daemon sent a garbled copy request");
  const over = Array.isArray(parents) ? { parents: parents.map(String) } : {};
  return { protocol: protocol!, jobUuid, ticket, ...over, withState: withState === true };
}

function sourceOf({ catalog, store, config }: StoragedOptions) {
  return { catalog, store, devices: () => config().devices };
}

function mismatch(what: string): BackupError {
  return new BackupError("TICKET_INVALID", `the job's ticket is for another ${what}`);
}
