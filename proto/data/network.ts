/**
 * Messages of a network test: storaged calls filed (`/basalt.v1.FiledData/Network`, raw bytes both ways). Every message is
 * one byte of kind and its payload.
 *
 * Order: storaged sends `start` (JSON). Then it asks, one thing at a time: `give`, which filed answers with `filler` of so
 * many bytes as `start` says; `filler` of as many bytes, which filed answers with `taken`; `ping`, answered with `ping`.
 */

import { BackupError } from "../../common/errors.js";
import type { DataStream } from "../rpc.js";

export const NetworkKind = { start: 1, give: 2, filler: 3, taken: 4, ping: 5 } as const;

/** What a test may send each way, and how often it may ask for a single byte. */
export const MAX_TEST_BYTES = 1024 ** 4;
export const MAX_TEST_PACKETS = 10_000;

/** As large as what a backup sends at a time. */
const BLOCK_BYTES = 256 * 1024;

export interface NetworkStart {
  ticket: string;
  /** Each way; kinds included. */
  bytes: number;
}

/** @throws BackupError PROTOCOL_ERROR, also for fields that are missing or out of range */
export function checkNetworkStart({ ticket, bytes }: Partial<NetworkStart>): NetworkStart {
  const isNumber = Number.isSafeInteger(bytes) && bytes! > 0 && bytes! <= MAX_TEST_BYTES;
  if (typeof ticket !== "string" || !isNumber) throw garbled();
  return { ticket, bytes: bytes! };
}

/** Sends `bytes` of filler. @throws BackupError when the stream breaks */
export async function sendFiller(stream: DataStream, bytes: number): Promise<void> {
  const block = Buffer.alloc(BLOCK_BYTES);
  block[0] = NetworkKind.filler;
  for (let left = bytes; left > 0; left -= BLOCK_BYTES)
    await stream.send(left < BLOCK_BYTES ? block.subarray(0, left) : block);
}

/** Takes in `bytes` of filler, of which `first` has come already. @throws BackupError PROTOCOL_ERROR, or when the stream breaks */
export async function takeFiller(
  incoming: AsyncIterator<Buffer>,
  bytes: number,
  first: Buffer = Buffer.alloc(0),
): Promise<void> {
  let taken = first.length;
  while (taken < bytes) taken += (await takeKind(incoming, NetworkKind.filler)).length;
  if (taken > bytes) throw garbled();
}

/** The next message, which has to be of this kind. @throws BackupError PROTOCOL_ERROR, or when the stream breaks */
export async function takeKind(incoming: AsyncIterator<Buffer>, kind: number): Promise<Buffer> {
  const { value, done } = await incoming.next();
  if (done === true || value[0] !== kind) throw garbled();
  return value;
}

function garbled(): BackupError {
  return new BackupError("PROTOCOL_ERROR", "the other side's part of a network test is garbled");
}
