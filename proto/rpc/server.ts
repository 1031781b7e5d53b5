/** A gRPC server under mutual TLS that knows its callers by certificate. */
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Server as NetServer } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { BackupError } from "../../common/errors.js";
import { type DataStream, dataStream, incomingOf } from "./data-stream.js";
import {
  CHANNEL_OPTIONS,
  type DataServiceName,
  dataMethod,
  type RpcTls,
  SERVER_WINDOW_BYTES,
  type ServiceName,
  serverCredentials,
  serviceDefinition,
  WIDE_SERVER_WINDOW_BYTES,
} from "./definitions.js";
import { type FrontDoor, openFrontDoor } from "./front-door.js";
import { identityFromCertificate, type Peer } from "./identity.js";
import { toStatus } from "./status.js";

export interface CallContext {
  peer: Peer;
  /** Aborted when the caller cancelled or went away. */
  signal: AbortSignal;
}

/** Sends one reply of a stream; resolves when there is room for the next. */
export type Send<T> = (message: T) => Promise<void>;

/**
 * unary: returns the reply; server stream: sends replies and returns; bidirectional: gets the requests as first
 * argument. Whatever it throws becomes the call's status.
 */
// biome-ignore lint/suspicious/noExplicitAny: request and reply types differ per method; services type them.
export type Handler = (request: any, context: CallContext, send: Send<any>) => Promise<unknown>;
export type Handlers = Record<string, Handler>;
export type Allow = (method: string, peer: Peer) => boolean;

export interface ServerOptions {
  /** Not used with a front door. */
  tls?: RpcTls;
  /** True for a revoked certificate (SHA-256 fingerprint, hex). */
  isRevoked: (fingerprint: string) => boolean;
  /** Callers that send much on connections on which they are sent little: those may be wide. (Default: none) */
  sendsMuch?: ((peer: Peer) => boolean) | undefined;
  /** Peers may come without a certificate and prove a password instead; certificates may change while it serves. */
  frontDoor?: FrontDoor | undefined;
}

interface AnyCall extends NodeJS.EventEmitter {
  request: unknown;
  getAuthContext(): { sslPeerCertificate?: PeerCertificate } | null;
  getPeer(): string;
  write(message: unknown): boolean;
  end(): void;
}

/**
 * grpc-js has an option for the receive windows of callers only: those of its servers stay at HTTP/2's 64 KiB, so a list on
 * its way to a file daemon waits a round trip for each two blocks. Where a later grpc-js keeps its HTTP/2 servers elsewhere
 * this does nothing, and the test of it fails.
 */
function raiseWindows(server: grpc.Server, sendsMuch: ServerOptions["sendsMuch"]): void {
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<EventEmitter, unknown> };
  for (const listening of http2Servers?.keys() ?? []) {
    listening.on("session", (session: ServerHttp2Session) => {
      const bytes = isWide(session, sendsMuch) ? WIDE_SERVER_WINDOW_BYTES : SERVER_WINDOW_BYTES;
      session.settings({ initialWindowSize: bytes });
      session.setLocalWindowSize(bytes);
    });
  }
}

function isWide({ socket }: ServerHttp2Session, sendsMuch: ServerOptions["sendsMuch"]): boolean {
  if (sendsMuch === undefined) return false;
  try {
    return sendsMuch(identityFromCertificate((socket as TLSSocket).getPeerCertificate()));
  } catch {
    // Whoever it is will be refused when it calls.
    return false;
  }
}

export class RpcServer {
  readonly #server = new grpc.Server(CHANNEL_OPTIONS);
  readonly #options: ServerOptions;
  #listener: NetServer | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Adds a service of proto/*.proto; `allow` decides per method and caller. */
  add(service: ServiceName, handlers: Handlers, allow: Allow): void {
    const definition = serviceDefinition(service);
    const wrapped: Record<string, grpc.UntypedHandleCall> = {};
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name] ?? handlers[name.charAt(0).toLowerCase() + name.slice(1)];
      if (handler === undefined) continue;
      wrapped[name] = method.responseStream
        ? this.#streaming(name, handler, allow, method.requestStream)
        : this.#unary(name, handler, allow);
    }
    this.#server.addService(definition, wrapped as grpc.UntypedServiceImplementation);
  }

  /** Adds a raw-bytes method. */
  addData(
    service: DataServiceName,
    method: string,
    serve: (stream: DataStream, peer: Peer) => Promise<void>,
    allow: Allow,
  ): void {
    const handler = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
      let stream: DataStream | undefined;
      const abort = (error?: Error): void =>
        void call.destroy(toStatus(error ?? new Error("given up")) as Error);
      void (async () => {
        try {
          const peer = this.#admit(call as unknown as AnyCall, method, allow);
          stream = dataStream(call, abort, true);
          await serve(stream, peer);
          call.end();
        } catch (error) {
          call.emit("error", toStatus(error));
        }
      })();
    };
    this.#server.addService(
      { [method]: dataMethod(service, method) },
      { [method]: handler as grpc.UntypedHandleCall },
    );
  }

  /**
   * Listens; port 0 picks a free one, returned.
   * @throws BackupError LISTEN_FAILED (port taken, no such address)
   */
  async listen(address: string, port: number): Promise<number> {
    const { tls, frontDoor, sendsMuch } = this.#options;
    const host = address.includes(":") && !address.startsWith("[") ? `[${address}]` : address;
    if (frontDoor !== undefined) {
      const opened = await openFrontDoor(this.#server, frontDoor, { address, port }).catch((cause) => {
        throw new BackupError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${whyNot(String(cause))}`);
      });
      this.#listener = opened.listener;
      raiseWindows(this.#server, sendsMuch);
      return opened.port;
    }
    if (tls === undefined) throw new Error("a server needs certificates");
    const credentials = serverCredentials(tls);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, credentials, (cause, bound) => {
        if (cause === null) {
          raiseWindows(this.#server, sendsMuch);
          return resolve(bound);
        }
        reject(
          new BackupError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${whyNot(cause.message)}`),
        );
      });
    });
  }

  /** Lets calls finish for `graceMs`, then breaks them. */
  async close(graceMs: number): Promise<void> {
    this.#listener?.close();
    const done = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([done, late]);
    clearTimeout(timer);
    this.#server.forceShutdown();
  }

  #admit(call: AnyCall, method: string, allow: Allow): Peer {
    const identity = identityFromCertificate(call.getAuthContext()?.sslPeerCertificate);
    const peer = { ...identity, address: call.getPeer() };
    if (this.#options.isRevoked(peer.fingerprint)) {
      throw new BackupError(
        "CERTIFICATE_REVOKED",
        `the certificate of ${peer.role} "${peer.name}" was revoked`,
      );
    }
    if (!allow(method, peer)) {
      throw new BackupError("PERMISSION_DENIED", `${peer.role} "${peer.name}" may not call ${method} here`);
    }
    return peer;
  }

  #context(call: AnyCall, method: string, allow: Allow): CallContext {
    const peer = this.#admit(call, method, allow);
    const controller = new AbortController();
    call.on("cancelled", () => controller.abort(new BackupError("ABORT_ERR", "the caller gave up")));
    return { peer, signal: controller.signal };
  }

  #unary(name: string, handler: Handler, allow: Allow): grpc.handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      void (async () => {
        try {
          const context = this.#context(call as unknown as AnyCall, name, allow);
          callback(null, await handler(call.request, context, noStream));
        } catch (error) {
          callback(toStatus(error));
        }
      })();
    };
  }

  #streaming(name: string, handler: Handler, allow: Allow, bidirectional: boolean): grpc.UntypedHandleCall {
    const serve = (raw: unknown): void => {
      const call = raw as AnyCall;
      void (async () => {
        try {
          const context = this.#context(call, name, allow);
          call.on("error", () => undefined);
          const send = streamSender(call, context.signal);
          const request = bidirectional ? incomingOf(call as never) : call.request;
          await handler(request, context, send);
          call.end();
        } catch (error) {
          call.emit("error", toStatus(error));
        }
      })();
    };
    return serve as grpc.UntypedHandleCall;
  }
}

const noStream: Send<unknown> = () => Promise.reject(new Error("not a streaming call"));

function streamSender(call: AnyCall, signal: AbortSignal): Send<unknown> {
  return async (message) => {
    if (signal.aborted) throw signal.reason;
    if (call.write(message)) return;
    await new Promise<void>((resolve, reject) => {
      const gone = (): void => reject(signal.reason);
      call.once("drain", () => {
        signal.removeEventListener("abort", gone);
        resolve();
      });
      signal.addEventListener("abort", gone, { once: true });
    });
  };
}

/** grpc-js words the system's error in several layers; what an operator can do about it is in the innermost. */
function whyNot(message: string): string {
  if (/EADDRINUSE|in use/.test(message)) return "the port is taken by another program";
  if (/EACCES/.test(message)) return "this user may not use that port";
  if (/EADDRNOTAVAIL/.test(message)) return "this machine does not have that address";
  return message;
}
