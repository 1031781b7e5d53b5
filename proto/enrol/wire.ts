/**
 * Messages of a first contact: JSON with its length (4 bytes, big-endian) in front, inside TLS 1.3. The connection begins
 * with PREFACE in the clear, by which a daemon's port tells it from gRPC.
 */
import type { TLSSocket } from "node:tls";
import { z } from "zod";
import { isValidName } from "../../common/bacula/map/names.js";
import { BackupError, describeError } from "../../common/errors.js";

export const PREFACE = Buffer.from("BASALT-ENROL 1\n");

/** How long a whole conversation may take. */
export const CONVERSATION_MS = 60_000;
const MAX_MESSAGE_BYTES = 64 * 1024;

/** A resource's name. */
const NAME = z.string().refine(isValidName);
const NONCE = z.string().regex(/^[0-9a-f]{64}$/);
const BASE64 = z.base64().max(4096);
const PEM = z.string().max(8192);

/** Who calls, and whom it means to reach. */
export const CALLER_HELLO = z.object({
  version: z.literal(1),
  role: z.enum(["director", "console"]),
  /** "": a console without a resource. */
  name: z.union([NAME, z.literal("")]),
  calls: z.enum(["director", "filed", "storaged"]),
  /** Of a console: the public key (SPKI, DER) that it wants a certificate for. */
  key: BASE64.optional(),
  nonce: NONCE,
});
export type CallerHello = z.output<typeof CALLER_HELLO>;

export const CALLED_HELLO = z.object({
  role: z.enum(["director", "filed", "storaged"]),
  name: NAME,
  nonce: NONCE,
});
export type CalledHello = z.output<typeof CALLED_HELLO>;

export const PROOF = z.object({ proof: BASE64 });

/** What the director gives to one that has proved itself. */
export const ISSUE = z.object({
  /** The name in the certificate. */
  name: z.string().max(127),
  /** Undefined: the one that it has stays. */
  certificate: PEM.optional(),
  /** Of the installation's CA. */
  ca: PEM,
  /** Public key of job tickets; not for consoles. */
  ticketKey: PEM.optional(),
});
export type Issue = z.output<typeof ISSUE>;

export const DONE = z.object({ done: z.literal(true) });

const REFUSAL = z.object({ refused: z.object({ code: z.string().max(64), text: z.string().max(2000) }) });

/** Both ends of a conversation have one. The owner destroys the socket. */
export class MessagePipe {
  readonly #socket: TLSSocket;
  #buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      if (this.#buffer.length > 2 * MAX_MESSAGE_BYTES) socket.destroy();
      this.#wake();
    });
    const end = (error?: Error): void => {
      this.#ended ??= error ?? new Error("the other side closed the connection");
      this.#wake();
    };
    socket.on("error", end);
    socket.on("close", () => end());
    socket.on("end", () => end());
  }

  /** Sends a message; the bytes of it, for the transcript. */
  send(message: object): Buffer {
    const body = Buffer.from(JSON.stringify(message));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    this.#socket.write(Buffer.concat([length, body]));
    return body;
  }

  refuse(error: unknown): void {
    const code = error instanceof BackupError ? error.code : "INTERNAL";
    this.send({ refused: { code, text: describeError(error).slice(0, 2000) } });
  }

  /** The next message. @throws BackupError ENROL_REFUSED when the other side says no, CONNECTION_LOST, PROTOCOL_ERROR */
  async receive<T>(schema: z.ZodType<T>): Promise<{ message: T; bytes: Buffer }> {
    const bytes = await this.#next();
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch {
      throw new BackupError("PROTOCOL_ERROR", "the other side sent a garbled message");
    }
    const refusal = REFUSAL.safeParse(value);
    if (refusal.success) {
      const { code, text } = refusal.data.refused;
      throw new BackupError("ENROL_REFUSED", oneLine(text), { context: { code } });
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new BackupError("PROTOCOL_ERROR", "the other side sent an unexpected message");
    return { message: parsed.data, bytes };
  }

  async #next(): Promise<Buffer> {
    for (;;) {
      if (this.#buffer.length >= 4) {
        const length = this.#buffer.readUInt32BE(0);
        if (length > MAX_MESSAGE_BYTES) throw new BackupError("PROTOCOL_ERROR", "a message is too long");
        if (this.#buffer.length >= 4 + length) {
          const body = this.#buffer.subarray(4, 4 + length);
          this.#buffer = this.#buffer.subarray(4 + length);
          return body;
        }
      }
      if (this.#ended !== undefined)
        throw new BackupError("CONNECTION_LOST", `the connection broke: ${this.#ended.message}`, {
          retry: "later",
        });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
