/**
 * filed's end of one backup data stream: takes storaged's messages as they come, sends filed's. The stream that
 * breaks, an `abort`, or nonsense from storaged makes everything that waits here fail at once.
 */
import { BackupError } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import {
  type BackupEnd,
  BackupKind,
  type BackupProgress,
  type BackupStart,
  type BackupTotals,
  decodeClaim,
  decodeJson,
  encodeBlock,
  encodeClaim,
  encodeJson,
  encodeList,
} from "../../proto/data/backup.js";
import { type DataStream, PROTOCOL } from "../../proto/rpc.js";
import { ListReader } from "../match/list-reader.js";
import type { ListsCall } from "./check-call.js";

interface OpenClaim {
  digests: number;
  resolve: (known: Buffer) => void;
  reject: (error: unknown) => void;
}

/** Claims without an answer at most; more wait their turn. */
const MAX_CLAIMS = 32;
/** How long the job's stream may take to say why the call with its lists ended. */
const LISTS_GONE_MS = 2000;

export class BackupLink {
  readonly start: BackupStart;
  /** One per list of `start`. */
  readonly lists: readonly ListReader[];
  bytesSent = 0;
  readonly #stream: DataStream;
  /** Where credits go: the stream of the lists, once it is there. */
  #listStream: DataStream;
  readonly #claims = new Map<number, OpenClaim>();
  #claimTurns: (() => void)[] = [];
  #sequence = 0;
  #failure: { error: unknown } | undefined;
  readonly #onFailure: (error: unknown) => void;
  #ended = false;
  #committed = false;
  #commitWaiter: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** `onFailure` is called once, when the stream can do no more for the job. */
  constructor(stream: DataStream, start: BackupStart, onFailure: (error: unknown) => void) {
    this.#stream = stream;
    this.#listStream = stream;
    this.start = start;
    this.#onFailure = onFailure;
    this.lists = start.lists.map(
      (_, list) => new ListReader((count) => this.#credit(list, count), { free: start.listsApart === true }),
    );
  }

  #credit(list: number, count: number): void {
    if (this.#failure !== undefined) return;
    // A call of the lists' own that breaks shows where it is read.
    const failed = this.start.listsApart === true ? () => undefined : this.fail;
    this.#listStream.send(encodeList(BackupKind.listCredit, list, Buffer.of(count))).catch(failed);
  }

  /** Greets storaged and asks for the lists, if they do not come by themselves. */
  async open(client: string, protocol = PROTOCOL): Promise<void> {
    await this.send(encodeJson(BackupKind.hello, { protocol, client }));
    if (this.start.listsApart === true) return;
    for (const list of this.lists) list.open();
  }

  /** Takes messages until the stream ends or the job fails; never rejects. */
  async read(incoming: AsyncIterator<Buffer>): Promise<void> {
    try {
      for (;;) {
        const { value, done } = await incoming.next();
        if (done === true) break;
        this.#take(value);
        if (this.#committed || this.#failure !== undefined) return;
      }
      throw new BackupError(
        "CONNECTION_LOST",
        "the storage daemon closed the connection before it committed the job",
      );
    } catch (error) {
      this.fail(error);
    }
  }

  /** Takes the lists out of their own call, until they are whole; never rejects. */
  async readLists({ stream, incoming }: ListsCall): Promise<void> {
    this.#listStream = stream;
    while (!this.lists.every((list) => list.complete)) {
      const next = await incoming.next().catch(() => undefined);
      if (next === undefined || next.done === true) {
        const error = new BackupError("CONNECTION_LOST", "the connection for the lists of parents broke");
        // Whoever ends the job closes both, and tells why in the other one: what is on its way there must not be cut off.
        // Else the job ends as by a broken connection, which leaves what storaged has already.
        setTimeout(() => {
          if (!this.#ended && this.#failure === undefined) this.#stream.destroy(error);
        }, LISTS_GONE_MS).unref();
        return;
      }
      try {
        this.#takeList(next.value);
      } catch (error) {
        this.fail(error);
        return;
      }
    }
  }

  #takeList(message: Buffer): void {
    if (message[0] === BackupKind.listBlock) this.#list(message).push(message.subarray(2));
    else if (message[0] === BackupKind.listEnd) this.#list(message).end();
    else throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent something else among lists");
  }

  #take(message: Buffer): void {
    switch (message[0]) {
      case BackupKind.listBlock:
      case BackupKind.listEnd:
        this.#takeList(message);
        return;
      case BackupKind.claimAnswer:
        this.#answer(message);
        return;
      case BackupKind.committed:
        if (!this.#ended)
          throw new BackupError("PROTOCOL_ERROR", "the storage daemon committed a job that had not ended");
        this.#committed = true;
        this.#commitWaiter?.resolve();
        return;
      case BackupKind.abort: {
        const { reason } = decodeJson<{ reason?: unknown }>(message);
        throw new BackupError(
          "STORAGE_FAILED",
          `the storage daemon ended the job: ${String(reason ?? "no reason given")}`,
        );
      }
      default:
        throw new BackupError(
          "PROTOCOL_ERROR",
          "the storage daemon sent a message that this file daemon does not know",
        );
    }
  }

  #list(message: Buffer): ListReader {
    const list = this.lists[message[1] ?? -1];
    if (list === undefined)
      throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent a list that it did not announce");
    return list;
  }

  #answer(message: Buffer): void {
    const { sequence, data } = decodeClaim(message);
    const claim = this.#claims.get(sequence);
    if (claim === undefined || claim.digests !== data.length) {
      throw new BackupError("PROTOCOL_ERROR", "the storage daemon answered a question that was not asked");
    }
    this.#claims.delete(sequence);
    claim.resolve(data);
    this.#claimTurns.shift()?.();
  }

  /** As DataStream's. @throws BackupError when the stream is broken */
  async send(message: Buffer, onSent?: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (message[0] === BackupKind.frame) this.bytesSent += message.length;
    await this.#stream.send(message, onSent);
  }

  readonly sendRows = (block: Buffer): Promise<void> => this.send(encodeBlock(BackupKind.rows, block));
  readonly sendMark = (key: string): Promise<void> =>
    this.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from(key, "latin1")]));
  readonly sendState = (block: Buffer): Promise<void> => this.send(encodeBlock(BackupKind.state, block));

  /** Asks whether contents are known; one byte per digest. */
  readonly claim = async (digests: Buffer): Promise<Buffer> => {
    while (this.#claims.size >= MAX_CLAIMS && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#claimTurns.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    const sequence = this.#sequence++ % 0x1_0000_0000;
    const answer = new Promise<Buffer>((resolve, reject) => {
      this.#claims.set(sequence, { digests: digests.length / DIGEST_BYTES, resolve, reject });
    });
    // Nobody else may hear of a failure that `send` reports.
    answer.catch(() => undefined);
    await this.send(encodeClaim(BackupKind.claim, sequence, digests));
    return answer;
  };

  progress(progress: BackupProgress): void {
    this.send(encodeJson(BackupKind.progress, progress)).catch(this.fail);
  }

  /** Tells storaged that all was sent; resolves when it has committed the job. */
  async commit(totals: BackupTotals): Promise<void> {
    await this.#end({ ok: true, totals });
  }

  /** Tells storaged to keep the job up to the last mark; resolves when it has. @throws when it could not */
  async stop(reason: string, totals: BackupTotals): Promise<void> {
    await this.#end({ ok: false, incomplete: true, reason, totals });
  }

  async #end(end: BackupEnd): Promise<void> {
    this.#ended = true;
    await this.send(encodeJson(BackupKind.end, end));
    if (this.#committed) return;
    await new Promise<void>((resolve, reject) => {
      this.#commitWaiter = { resolve, reject };
      if (this.#failure !== undefined) reject(this.#failure.error);
    });
  }

  /** Tells storaged why the job fails, if it still listens. */
  async giveUp(reason: string, canceled: boolean, totals: BackupTotals): Promise<void> {
    this.fail(new BackupError(canceled ? "JOB_CANCELED" : "JOB_FAILED", reason));
    await this.#stream
      .send(encodeJson(BackupKind.end, { ok: false, reason, canceled, totals }))
      .catch(() => undefined);
  }

  /** Everything that waits for storaged fails with `error`. The first one counts. */
  readonly fail = (error: unknown): void => {
    if (this.#failure !== undefined || this.#committed) return;
    this.#failure = { error };
    for (const list of this.lists) list.fail(error);
    for (const claim of this.#claims.values()) claim.reject(error);
    this.#claims.clear();
    for (const turn of this.#claimTurns.splice(0)) turn();
    this.#commitWaiter?.reject(error);
    this.#onFailure(error);
  };
}
