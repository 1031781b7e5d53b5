/** Sends to a peer whose going away is no fault of the job. */

import { BackupError, describeError } from "../../common/errors.js";
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
