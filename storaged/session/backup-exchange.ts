/** Reads filed's messages until its end and hands each one on. Everything in them is checked. */

import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import {
  type BackupEnd,
  type BackupHello,
  BackupKind,
  type BackupProgress,
  type BackupTotals,
  decodeClaim,
  decodeJson,
  encodeClaim,
  type JobMessage,
} from "../../proto/data/backup.js";
import { checkProtocol, type DataStream } from "../../proto/rpc.js";
import { violation } from "../catalog/writer-context.js";
import type { Ingest } from "./backup-ingest.js";
import type { ListSender } from "./backup-lists.js";
import type { JobVolumes } from "./job-volumes.js";
import type { MessageType, Reporter } from "./reporter.js";
import { sendOrBreak } from "./send-or-break.js";

const MAX_CLAIM_DIGESTS = 16_384;
const MAX_CLAIMS_UNDER_WAY = 64;
const MAX_TEXT = 16_384;
const MESSAGE_TYPES: readonly string[] = [
  "info",
  "warning",
  "error",
  "fatal",
  "notsaved",
  "skipped",
  "saved",
];

/** The stream broke, for whatever reason; anything else names what is wrong itself. */
const BROKEN = new Set(["PEER_UNAVAILABLE", "PEER_TIMEOUT", "CONNECTION_LOST"]);

export interface ExchangeOptions {
  stream: DataStream;
  ingest: Pick<Ingest, "frame" | "parts" | "rows" | "state" | "mark" | "claim" | "fail">;
  lists: Pick<ListSender, "credit">;
  reporter: Reporter;
  volumes: Pick<JobVolumes, "bytesStored" | "current">;
  client: string;
  /** How long filed may take for its hello. */
  helloTimeoutMs: number;
}

/** A job that filed ended well. */
export interface ExchangeEnd {
  totals: BackupTotals;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  #greeted = false;
  #claims: Promise<void> = Promise.resolve();
  #claimsUnderWay = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** @throws BackupError when filed ended badly, broke the protocol, or the stream broke; GarbledInput */
  async run(): Promise<ExchangeEnd> {
    const { client, helloTimeoutMs, ingest } = this.#options;
    const timer = setTimeout(() => {
      if (!this.#greeted) ingest.fail(new BackupError("PEER_TIMEOUT", `client "${client}" does not answer`));
    }, helloTimeoutMs);
    try {
      return await this.#read();
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(): Promise<ExchangeEnd> {
    for await (const message of this.#incoming()) {
      if (message.length === 0) throw violation("an empty message");
      const end = await this.#take(message);
      if (end !== undefined) {
        await this.#claims;
        return end;
      }
    }
    throw new BackupError(
      "CONNECTION_LOST",
      `client "${this.#options.client}" closed the connection before the end`,
    );
  }

  /** What filed sends; a connection that breaks is told with the client's name. */
  async *#incoming(): AsyncGenerator<Buffer> {
    const { stream, client } = this.#options;
    const incoming = stream.incoming[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await incoming.next().catch((error: unknown) => {
          const code = codeOf(error) ?? "";
          if (!BROKEN.has(code)) throw error;
          const text = `the connection to client "${client}" broke: ${describeError(error)}`;
          throw new BackupError(code, text);
        });
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await incoming.return?.();
    }
  }

  async #take(message: Buffer): Promise<ExchangeEnd | undefined> {
    const { ingest, lists } = this.#options;
    const kind = message[0]!;
    if (!this.#greeted) return this.#hello(kind, message);
    switch (kind) {
      case BackupKind.listCredit:
        if (message.length !== 3) throw violation("a garbled credit");
        lists.credit(message[1]!, message[2]!);
        return undefined;
      case BackupKind.claim:
        await this.#claim(message);
        return undefined;
      case BackupKind.frame:
        await ingest.frame(message);
        return undefined;
      case BackupKind.parts:
        await ingest.parts(message);
        return undefined;
      case BackupKind.rows:
        await ingest.rows(message.subarray(1));
        return undefined;
      case BackupKind.state:
        await ingest.state(message.subarray(1));
        return undefined;
      case BackupKind.mark:
        if (message.length > MAX_TEXT) throw violation("a mark of impossible length");
        await ingest.mark(message.latin1Slice(1));
        return undefined;
      case BackupKind.message:
        await this.#message(message);
        return undefined;
      case BackupKind.progress:
        await this.#progress(message);
        return undefined;
      case BackupKind.end:
        return this.#end(message);
      default:
        throw violation(`a message of unknown kind ${kind}`);
    }
  }

  #hello(kind: number, message: Buffer): undefined {
    const { client } = this.#options;
    if (kind === BackupKind.end) this.#end(message);
    if (kind !== BackupKind.hello) throw violation("data before its hello");
    const hello = decodeJson<Partial<BackupHello>>(message);
    const { major, minor } = hello.protocol ?? {};
    if (!Number.isSafeInteger(major) || !Number.isSafeInteger(minor))
      throw violation("a hello without protocol");
    checkProtocol("filed", client, { major: major!, minor: minor! });
    if (hello.client !== client) throw violation(`a hello of client "${String(hello.client)}"`);
    this.#greeted = true;
    return undefined;
  }

  /** Answers leave in the order of the claims; a bounded number is under way. */
  async #claim(message: Buffer): Promise<void> {
    const { sequence, data } = decodeClaim(message);
    if (data.length % DIGEST_BYTES !== 0 || data.length / DIGEST_BYTES > MAX_CLAIM_DIGESTS)
      throw violation("a garbled claim");
    const { ingest, stream } = this.#options;
    const answer = ingest.claim(data);
    this.#claimsUnderWay++;
    this.#claims = this.#claims.then(async () => {
      try {
        await sendOrBreak(stream, encodeClaim(BackupKind.claimAnswer, sequence, await answer));
      } catch (error) {
        ingest.fail(error);
      } finally {
        this.#claimsUnderWay--;
      }
    });
    answer.catch(() => undefined);
    if (this.#claimsUnderWay >= MAX_CLAIMS_UNDER_WAY) await this.#claims;
  }

  async #message(message: Buffer): Promise<void> {
    const { type, text } = decodeJson<Partial<JobMessage>>(message);
    if (typeof text !== "string" || !MESSAGE_TYPES.includes(String(type)))
      throw violation("a garbled message");
    await this.#options.reporter.message(type as MessageType, text.slice(0, MAX_TEXT));
  }

  async #progress(message: Buffer): Promise<void> {
    const { files, bytesRead, bytesSent, path } = decodeJson<Partial<BackupProgress>>(message);
    const { volumes, reporter } = this.#options;
    await reporter.setProgress({
      files: count(files),
      bytesRead: count(bytesRead),
      bytesSent: count(bytesSent),
      path: Buffer.from(typeof path === "string" ? path.slice(0, MAX_TEXT) : "", "latin1"),
      bytesStored: volumes.bytesStored,
      volume: volumes.current?.record.name ?? "",
    });
  }

  #end(message: Buffer): ExchangeEnd {
    const end = decodeJson<Partial<BackupEnd>>(message);
    if (end.ok !== true) {
      const reason =
        typeof end.reason === "string" ? end.reason.slice(0, MAX_TEXT) : "the client gave no reason";
      if (end.incomplete === true) throw new BackupError("JOB_STOPPED", reason);
      throw new BackupError(end.canceled === true ? "JOB_CANCELED" : "CLIENT_FAILED", reason);
    }
    const totals = (end.totals ?? {}) as Partial<BackupTotals>;
    return {
      totals: {
        files: count(totals.files),
        deleted: count(totals.deleted),
        examined: count(totals.examined),
        bytes: count(totals.bytes),
        bytesRead: count(totals.bytesRead),
        bytesSent: count(totals.bytesSent),
        baseFiles: count(totals.baseFiles),
        baseBytes: count(totals.baseBytes),
        usedFiles: count(totals.usedFiles),
        errors: count(totals.errors),
        warnings: count(totals.warnings),
      },
    };
  }
}

/** A count from the wire. @throws PROTOCOL_VIOLATION */
function count(value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw violation("an impossible count");
  return value;
}
