/** The answering side of a first contact. It is open to everybody who reaches the port, so everything is bounded. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer, type TLSSocket } from "node:tls";
import { quoted } from "../../common/config/diagnostics.js";
import { BackupError, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { fingerprintOf } from "../../common/tls/identity.js";
import { EXPORTED_BYTES, EXPORTER_LABEL, isProof, proofOf } from "../../common/tls/password.js";
import { Places } from "./places.js";
import {
  CALLER_HELLO,
  type CalledHello,
  type CallerHello,
  CONVERSATION_MS,
  MessagePipe,
  PROOF,
} from "./wire.js";

export interface AnswerOptions {
  readonly log: Log;
  /** The certificate and key (PEM) to show now. */
  readonly own: () => { readonly cert: Buffer; readonly key: Buffer };
  readonly hello: () => Omit<CalledHello, "nonce">;
  /** The key of the password that is shared with who calls; undefined: there is none. */
  readonly keyFor: (hello: CallerHello) => Promise<Buffer | undefined>;
  /** What is done once both sides have proved the password. What it throws is told to the caller. */
  readonly work: (proved: AnsweredCall) => Promise<void>;
  /** True for a withdrawn certificate (SHA-256, hex): who shows one is not asked for a password. */
  readonly isRevoked: (fingerprint: string) => boolean;
  /** (Default: 10,000) */
  readonly proofMs?: number | undefined;
}

export interface AnsweredCall {
  readonly pipe: MessagePipe;
  readonly hello: CallerHello;
  /** The caller's certificate (DER); empty when it has shown none. */
  readonly certificate: Buffer;
  /** `10.0.0.7:50412` */
  readonly from: string;
}

/** A failed conversation keeps its place for this long, which bounds how fast anybody can guess. */
const FAILURE_MS = 1000;
/** How long a caller may take to prove itself. */
const PROOF_MS = 10_000;
/** How long the other side may take to close a connection that is over. */
const CLOSING_MS = 2000;

/** Said for a wrong password and for a name that is not known, so that nobody learns which. */
const WRONG = "the names or passwords are not the same here and there";

export class PasswordDesk {
  readonly #options: AnswerOptions;
  readonly #places = new Places();

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** Takes over a connection whose preface was read. */
  answer(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), CONVERSATION_MS);
    socket.once("close", () => clearTimeout(timer));
    this.#places.enter(socket, () => this.#begin(socket));
  }

  #begin(socket: Socket): void {
    const from = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    const timer = setTimeout(() => socket.destroy(), this.#options.proofMs ?? PROOF_MS);
    socket.once("close", () => clearTimeout(timer));
    const { cert, key } = this.#options.own();
    const server = createServer({
      cert,
      key,
      minVersion: "TLSv1.3",
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: CONVERSATION_MS,
    });
    server.on("tlsClientError", () => socket.destroy());
    server.on("secureConnection", (secure) => {
      void this.#converse(secure, { from, proved: () => clearTimeout(timer) }).finally(() => {
        secure.end();
        const closing = setTimeout(() => socket.destroy(), CLOSING_MS);
        socket.once("close", () => clearTimeout(closing));
      });
    });
    server.emit("connection", socket);
  }

  /** Never throws. */
  async #converse(socket: TLSSocket, { from, proved }: { from: string; proved: () => void }): Promise<void> {
    const pipe = new MessagePipe(socket);
    try {
      const call = await this.#prove(pipe, socket, from);
      proved();
      await this.#options.work(call);
    } catch (error) {
      const context = error instanceof BackupError ? error.context : {};
      this.#options.log.warn(`refused: ${describeError(error)}`, { from, ...context });
      await sleep(FAILURE_MS);
      if (!socket.destroyed) pipe.refuse(error);
    }
  }

  async #prove(pipe: MessagePipe, socket: TLSSocket, from: string): Promise<AnsweredCall> {
    // First: there is nothing to ask any more once the other side has closed, which shows in what is received next.
    const exported = socket.exportKeyingMaterial(EXPORTED_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    const { message: hello, bytes: callerHello } = await pipe.receive(CALLER_HELLO);
    const certificate = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
    if (certificate.length > 0 && this.#options.isRevoked(fingerprintOf(certificate)))
      throw new BackupError("CERTIFICATE_REVOKED", `the certificate of this ${hello.role} was revoked`);
    const own = this.#options.hello();
    if (hello.calls !== own.role)
      throw new BackupError("ENROL_REFUSED", `this is the ${own.role} "${own.name}", no ${hello.calls}`);
    const calledHello = pipe.send({ ...own, nonce: randomBytes(32).toString("hex") });
    const { message } = await pipe.receive(PROOF);
    const key = (await this.#options.keyFor(hello)) ?? randomBytes(32);
    const channel = {
      exported,
      callerCertificate: certificate,
      calledCertificate: socket.getX509Certificate()?.raw ?? Buffer.alloc(0),
      callerHello,
      calledHello,
    };
    if (!isProof(Buffer.from(message.proof, "base64"), proofOf("caller", key, channel))) {
      const context = { caller: `${hello.role} ${quoted(hello.name)}` };
      throw new BackupError("PASSWORD_WRONG", WRONG, { context });
    }
    pipe.send({ proof: proofOf("called", key, channel).toString("base64") });
    return { pipe, hello, certificate, from };
  }
}
