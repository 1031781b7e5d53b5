/** Whether storaged's call is the one that the director announced. */
import { BackupError } from "../../common/errors.js";
import { type BackupStart, isDiskVerifyLevel } from "../../proto/data/backup.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import { checkProtocol, type DataStream, LISTS_APART_MINOR, type Peer, PROTOCOL } from "../../proto/rpc.js";
import type { SessionDeps } from "./deps.js";

/** storaged's data stream: what it sent first has been read. */
export interface BackupCall {
  stream: DataStream;
  incoming: AsyncIterator<Buffer>;
  start: BackupStart;
}

/** The call that brings the job's lists. */
export interface ListsCall {
  stream: DataStream;
  incoming: AsyncIterator<Buffer>;
}

/** @throws BackupError PERMISSION_DENIED, TICKET_INVALID, PROTOCOL_MISMATCH, REQUEST_INVALID */
export function checkCall(
  request: FiledBackup__Output,
  start: BackupStart,
  peer: Peer,
  own: SessionDeps["protocol"],
): void {
  const { jobId, level } = request;
  checkCaller(request, start.ticket, peer);
  checkProtocol("storaged", peer.name, start.protocol, own);
  const apart = start.listsApart === true || start.lists.length === 0 || isDiskVerifyLevel(level);
  if (!apart && (own ?? PROTOCOL).minor >= LISTS_APART_MINOR) {
    // Wide windows and much both ways in one stream: both ends could wait for each other for ever.
    const text = `JobId ${jobId} began with an older release of this file daemon: run it again`;
    throw new BackupError("PROTOCOL_MISMATCH", text, { retry: "later" });
  }
  if (start.level !== level) {
    throw new BackupError(
      "REQUEST_INVALID",
      `JobId ${jobId} is a ${level} to the director, a ${start.level} to the storage`,
    );
  }
}

/** The storage daemon of the job, with its ticket. @throws BackupError PERMISSION_DENIED, TICKET_INVALID */
export function checkCaller(
  { storage, ticket, jobId }: FiledBackup__Output,
  shown: string,
  peer: Peer,
): void {
  if (peer.role !== "storaged" || peer.name !== storage) {
    throw new BackupError(
      "PERMISSION_DENIED",
      `JobId ${jobId} belongs to storage "${storage}", not to "${peer.name}"`,
    );
  }
  if (shown !== ticket) throw new BackupError("TICKET_INVALID", `this is not the ticket of JobId ${jobId}`);
}
