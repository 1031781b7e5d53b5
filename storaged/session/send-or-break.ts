/** Messages to a peer that may be gone. */

import { BackupError, describeError } from "../../common/errors.js";
import { BackupKind, encodeJson } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";

/**
 * Sends one message; false when the stream is broken. Whoever reads it hears that in turn, behind everything that came
 * before the break: what was received is not in doubt.
 */
export async function sendOrBreak(stream: DataStream, message: Buffer): Promise<boolean> {
  try {
    await stream.send(message);
    return true;
  } catch (error) {
    stream.destroy(new BackupError("CONNECTION_LOST", describeError(error), { cause: error }));
    return false;
  }
}

/** Tells filed why, then breaks the stream. */
export async function refuse(stream: DataStream, error: unknown): Promise<void> {
  const reason = describeError(error);
  await stream.send(encodeJson(BackupKind.abort, { reason })).catch(() => undefined);
  setTimeout(() => stream.destroy(error instanceof Error ? error : new Error(reason)), 100).unref();
}
