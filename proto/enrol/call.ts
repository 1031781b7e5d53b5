/** The calling side of a first contact: a director that calls a daemon, or a console that calls a director. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { BackupError, codeOf } from "../../common/errors.js";
import { EXPORTED_BYTES, EXPORTER_LABEL, isProof, proofOf } from "../../common/tls/password.js";
import {
  CALLED_HELLO,
  type CalledHello,
  type CallerHello,
  CONVERSATION_MS,
  MessagePipe,
  PREFACE,
  PROOF,
} from "./wire.js";

export interface CallOptions {
  readonly address: string;
  readonly port: number;
  /** The caller's own certificate (PEM); a console has none. */
  readonly own?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly hello: Omit<CallerHello, "version" | "nonce">;
  /** Looks at the certificate (DER) at the other end before anything is proved to it; throws when it is the wrong one. */
  readonly accept?: (certificate: Buffer) => void;
  /** The key of the password that is shared with who answers. */
  readonly keyFor: (hello: CalledHello) => Promise<Buffer>;
  /** What refuses a wrong password, for the error: `Client: web1-fd on 10.0.0.7:9102` */
  readonly label: string;
  readonly signal?: AbortSignal | undefined;
}

/** Both sides have proved that they know the password. */
export interface Proved {
  readonly pipe: MessagePipe;
  readonly hello: CalledHello;
  /** The certificate (DER) at the other end. */
  readonly certificate: Buffer;
}

/**
 * Calls, lets both sides prove the password, and then does `work`; the connection is closed afterwards.
 * @throws BackupError PEER_UNAVAILABLE (later), PASSWORD_WRONG, ENROL_REFUSED, CONNECTION_LOST, PROTOCOL_ERROR, and
 * what `accept` and `work` throw
 */
export async function callByPassword<T>(
  options: CallOptions,
  work: (proved: Proved) => Promise<T>,
): Promise<T> {
  try {
    return await converse(options, work);
  } catch (error) {
    if (codeOf(error) !== "ENROL_REFUSED" || !(error instanceof BackupError)) throw error;
    const told = error.context.code;
    const code = told === "PASSWORD_WRONG" || told === "TLS_PIN_CHANGED" ? told : "ENROL_REFUSED";
    throw new BackupError(code, `${options.label} refuses: ${error.message}`);
  }
}

async function converse<T>(options: CallOptions, work: (proved: Proved) => Promise<T>): Promise<T> {
  const plain = await dial(options);
  const timer = setTimeout(() => plain.destroy(new Error("no answer in time")), CONVERSATION_MS);
  const abort = (): void => void plain.destroy(new Error("given up"));
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    const socket = await secure(plain, options);
    const certificate = socket.getPeerX509Certificate()?.raw;
    if (certificate === undefined) throw new BackupError("PROTOCOL_ERROR", "no certificate was shown");
    options.accept?.(certificate);
    return await work(await prove(socket, certificate, options));
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
    plain.destroy();
  }
}

function dial({ address, port, label }: CallOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.replace(/^\[(.*)\]$/, "$1"), port, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error("connect ETIMEDOUT")), CONVERSATION_MS);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(new BackupError("PEER_UNAVAILABLE", `${label}: ${error.message}`, { retry: "later" }));
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      socket.on("error", () => undefined);
      socket.write(PREFACE);
      resolve(socket);
    });
  });
}

function secure(plain: Socket, { own, label }: CallOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Who it is is told by the proof, or by the pin; there is no authority to ask yet.
    const socket = connectTls({ socket: plain, rejectUnauthorized: false, minVersion: "TLSv1.3", ...own });
    const failed = (): void =>
      reject(
        new BackupError(
          "ENROL_UNKNOWN",
          `${label}: it does not know passwords (is its configuration in YAML, or is it no Basalt?)`,
        ),
      );
    // Also after the last one that listens: what comes too late must not end the process.
    socket.on("error", () => undefined);
    socket.once("error", failed);
    socket.once("close", failed);
    socket.once("secureConnect", () => {
      socket.off("error", failed);
      socket.off("close", failed);
      resolve(socket);
    });
  });
}

async function prove(socket: TLSSocket, certificate: Buffer, options: CallOptions): Promise<Proved> {
  // First: there is nothing to ask any more once the other side has closed, which shows in what is received next.
  const exported = socket.exportKeyingMaterial(EXPORTED_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
  const pipe = new MessagePipe(socket);
  const nonce = randomBytes(32).toString("hex");
  const callerHello = pipe.send({ version: 1, ...options.hello, nonce });
  const { message: hello, bytes: calledHello } = await pipe.receive(CALLED_HELLO);
  const key = await options.keyFor(hello);
  const channel = {
    exported,
    callerCertificate: ownCertificate(socket),
    calledCertificate: certificate,
    callerHello,
    calledHello,
  };
  pipe.send({ proof: proofOf("caller", key, channel).toString("base64") });
  const { message } = await pipe.receive(PROOF);
  if (!isProof(Buffer.from(message.proof, "base64"), proofOf("called", key, channel))) {
    const text = `${options.label} does not know the password: it is another program, or somebody is in between`;
    throw new BackupError("PASSWORD_WRONG", text);
  }
  return { pipe, hello, certificate };
}

function ownCertificate(socket: TLSSocket): Buffer {
  return socket.getX509Certificate()?.raw ?? Buffer.alloc(0);
}
