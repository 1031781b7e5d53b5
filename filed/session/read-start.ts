/** What storaged says first in its calls. */
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { type BackupStart, decodeJson, type ListsStart } from "../../proto/data/backup.js";

/** How long storaged may take to say which job it calls for. */
const START_TIMEOUT_MS = 30_000;
const MAX_LISTS = 64;

/** Reads and checks the message of `kind` that a call begins with. @throws BackupError PROTOCOL_ERROR */
export async function readFirst<T>(
  incoming: AsyncIterator<Buffer>,
  kind: number,
  check: (start: T) => T,
): Promise<T> {
  const timer = new AbortController();
  const late = sleep(START_TIMEOUT_MS, undefined, { signal: timer.signal, ref: false }).catch(
    () => undefined,
  );
  const first = await Promise.race([incoming.next(), late]);
  timer.abort();
  const message = first === undefined || first.done === true ? undefined : first.value;
  if (message === undefined || message[0] !== kind) {
    throw new BackupError("PROTOCOL_ERROR", "the storage daemon did not say which job it calls for");
  }
  try {
    return check(decodeJson<T>(message));
  } catch (cause) {
    if (!(cause instanceof GarbledInput)) throw cause;
    throw new BackupError("PROTOCOL_ERROR", `the storage daemon's call is garbled: ${cause.message}`);
  }
}

/** @throws GarbledInput when a field is missing or of another type. */
export function checkListsStart(start: ListsStart): ListsStart {
  const texts = [start?.jobUuid, start?.ticket].every((text) => typeof text === "string");
  if (!texts || !Number.isSafeInteger(start.jobId)) throw new GarbledInput("fields are missing");
  return start;
}

/** @throws GarbledInput when a field is missing or of another type. */
export function checkStart(start: BackupStart): BackupStart {
  const texts = [start?.jobUuid, start?.ticket, start?.level].every((text) => typeof text === "string");
  const numbers = [start?.jobId, start?.protocol?.major, start?.protocol?.minor].every(Number.isSafeInteger);
  const flags = [start?.ownIsParent, start?.selfContained].every((flag) => typeof flag === "boolean");
  if (!texts || !numbers || !flags || !Array.isArray(start.lists))
    throw new GarbledInput("fields are missing");
  if (start.lists.length > MAX_LISTS) throw new GarbledInput("too many lists");
  for (const list of start.lists) {
    if (!["own", "parent", "base", "verified", "compared"].includes(list?.role))
      throw new GarbledInput("a list of unknown role");
  }
  const count = (role: string): number => start.lists.filter((list) => list.role === role).length;
  if (count("own") > 1 || count("parent") > 1) throw new GarbledInput("two lists of one role");
  if (start.ownIsParent && count("own") === 0) throw new GarbledInput("the parent list is missing");
  return start;
}
