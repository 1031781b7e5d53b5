/**
 * filed's side of a backup stream (proto/data/backup.ts), played by a storage daemon itself: for copies, whose
 * content comes from volumes, and for lists that are made out of other lists.
 */

import { BackupError } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import {
  BackupKind,
  type BackupProgress,
  type BackupStart,
  type BackupTotals,
  decodeClaim,
  decodeJson,
  encodeBlock,
  encodeClaim,
  encodeJson,
  type JobMessage,
  NO_TOTALS,
} from "../../proto/data/backup.js";
import { type DataStream, PROTOCOL } from "../../proto/rpc.js";

/** One call at a time; every method throws the other side's reason when that gives the job up. */
export class FiledRole {
  readonly #stream: DataStream;
  readonly #incoming: AsyncIterator<Buffer>;
  #claims = 0;

  constructor(stream: DataStream) {
    this.#stream = stream;
    this.#incoming = stream.incoming[Symbol.asyncIterator]();
  }

  /** Waits for the job's start and greets in the name of the client whose files they are. */
  async begin(client: string): Promise<BackupStart> {
    const message = await this.#receive();
    if (message[0] !== BackupKind.start)
      throw new BackupError("PROTOCOL_VIOLATION", "the storage daemon began without a start");
    await this.#stream.send(encodeJson(BackupKind.hello, { protocol: { ...PROTOCOL }, client }));
    return decodeJson<BackupStart>(message);
  }

  /** One byte per digest: 1 for what the other side has. */
  async claim(digests: Buffer): Promise<Buffer> {
    const sequence = this.#claims++;
    await this.#stream.send(encodeClaim(BackupKind.claim, sequence, digests));
    const message = await this.#receive();
    const answer = message[0] === BackupKind.claimAnswer ? decodeClaim(message) : undefined;
    if (answer?.sequence !== sequence || answer.data.length !== digests.length / DIGEST_BYTES)
      throw new BackupError("PROTOCOL_VIOLATION", "the storage daemon answered another claim");
    return answer.data;
  }

  /** A message that is encoded already: a frame, parts, rows. */
  send(message: Buffer): Promise<void> {
    return this.#stream.send(message);
  }

  rows(block: Buffer): Promise<void> {
    return this.#stream.send(encodeBlock(BackupKind.rows, block));
  }

  state(block: Buffer): Promise<void> {
    return this.#stream.send(encodeBlock(BackupKind.state, block));
  }

  message(message: JobMessage): Promise<void> {
    return this.#stream.send(encodeJson(BackupKind.message, message));
  }

  progress(progress: BackupProgress): Promise<void> {
    return this.#stream.send(encodeJson(BackupKind.progress, progress));
  }

  /** Ends well; resolves when the job is committed. */
  async end(totals: Partial<BackupTotals>): Promise<void> {
    await this.#stream.send(encodeJson(BackupKind.end, { ok: true, totals: { ...NO_TOTALS, ...totals } }));
    const message = await this.#receive();
    if (message[0] !== BackupKind.committed)
      throw new BackupError("PROTOCOL_VIOLATION", "the storage daemon did not commit the job");
  }

  /** Ends badly: the other side fails the job with this reason. */
  async fail(reason: string): Promise<void> {
    await this.#stream.send(encodeJson(BackupKind.end, { ok: false, reason, totals: NO_TOTALS }));
  }

  async #receive(): Promise<Buffer> {
    const { value, done } = await this.#incoming.next();
    if (done === true) throw new BackupError("CONNECTION_LOST", "the storage daemon closed the connection");
    if (value[0] !== BackupKind.abort) return value;
    const { reason } = decodeJson<{ reason?: unknown }>(value);
    throw new BackupError("JOB_REFUSED", String(reason));
  }
}
