/** The calling side: a channel to one daemon, whose identity is checked before anything is sent. */
import type { PeerCertificate } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { BackupError } from "../../common/errors.js";
import { type DataStream, dataStream, incomingOf } from "./data-stream.js";
import {
  CHANNEL_OPTIONS,
  type DataServiceName,
  dataMethod,
  type RpcTls,
  type ServiceName,
  serviceDefinition,
} from "./definitions.js";
import { identityFromCertificate, type Peer, type PeerRole } from "./identity.js";
import { rpcError } from "./status.js";
import type { ProtocolVersion } from "./version.js";

export interface ChannelOptions {
  address: string;
  port: number;
  tls: RpcTls;
  /** The certificate at the other end must carry this role and, when given, this name. */
  expect: { role: PeerRole; name?: string | undefined };
  /** Refuses revoked certificates. (Default: none is) */
  isRevoked?: (fingerprint: string) => boolean;
  /** Hears who answered, once the certificate was accepted. */
  onPeer?: (peer: Peer) => void;
}

export interface CallOptions {
  /** Default for unary calls: 30,000. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export class RpcChannel {
  /** What the daemon said that it speaks, when it was last greeted. */
  protocol: ProtocolVersion | undefined;
  readonly #client: grpc.Client;
  readonly #options: ChannelOptions;
  #peer: Peer | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { ca, key, cert } = options.tls;
    const credentials = grpc.ChannelCredentials.createSsl(ca, key, cert, {
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => this.#checkIdentity(certificate),
    });
    const host = options.address.includes(":") ? `[${options.address}]` : options.address;
    // Own sub-channels: two channels with different certificates must not share a connection.
    this.#client = new grpc.Client(`${host}:${options.port}`, credentials, {
      ...CHANNEL_OPTIONS,
      "grpc.use_local_subchannel_pool": 1,
      // Identity is in the certificate, not in the host name, and an address is not allowed as a name in TLS.
      "grpc.ssl_target_name_override": "basalt",
    });
  }

  /** The daemon and where it was looked for, for messages. */
  get label(): string {
    const { expect, address, port } = this.#options;
    return `${describe(expect)} at ${address}:${port}`;
  }

  /** Connects before the first call. Errors come with the calls. */
  dial(): void {
    this.#client.getChannel().getConnectivityState(true);
  }

  /** Whether calls can be sent now; failed: the last attempt to connect, or its certificate was revoked since. */
  get state(): "connected" | "connecting" | "failed" {
    if (this.#peer !== undefined && this.#options.isRevoked?.(this.#peer.fingerprint) === true)
      return "failed";
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) return "connected";
    return state === grpc.connectivityState.TRANSIENT_FAILURE ? "failed" : "connecting";
  }

  /** Who answered last; undefined until a call was accepted. */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the caller names the generated reply type.
  unary<Reply = any>(
    service: ServiceName,
    method: string,
    request: object,
    options: CallOptions = {},
  ): Promise<Reply> {
    const definition = this.#method(service, method);
    const deadline = Date.now() + (options.timeoutMs ?? 30_000);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        { deadline },
        (error, reply) => {
          offAbort();
          if (error === null) resolve(reply as Reply);
          else reject(this.#named(error));
        },
      );
      const offAbort = onAbort(options.signal, () => call.cancel());
    });
  }

  /** A server stream; leaving the loop early cancels the call. */
  // biome-ignore lint/suspicious/noExplicitAny: the caller names the generated reply type.
  async *stream<Reply = any>(
    service: ServiceName,
    method: string,
    request: object,
    options: CallOptions = {},
  ): AsyncGenerator<Reply> {
    const definition = this.#method(service, method);
    const call = this.#client.makeServerStreamRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      request,
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
    );
    // A loop that is left early cancels the call, whose error then comes when nobody iterates any more.
    call.on("error", () => undefined);
    const offAbort = onAbort(options.signal, () => call.cancel());
    try {
      yield* incomingOf<Reply>(call);
    } catch (error) {
      throw this.#named(error);
    } finally {
      offAbort();
      call.cancel();
    }
  }

  /** A bidirectional stream of typed messages. */
  // biome-ignore lint/suspicious/noExplicitAny: the caller names the generated types.
  duplex<Request = any, Reply = any>(service: ServiceName, method: string, options: CallOptions = {}) {
    const definition = this.#method(service, method);
    const call = this.#client.makeBidiStreamRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
    );
    call.on("error", () => undefined);
    onAbort(options.signal, () => call.cancel());
    return {
      send: (message: Request): void => void call.write(message as object),
      incoming: incomingOf<Reply>(call),
      end: (): void => void call.end(),
      cancel: (): void => call.cancel(),
    };
  }

  /** A stream of raw bytes. */
  data(service: DataServiceName, method: string, options: CallOptions = {}): DataStream {
    const definition = dataMethod(service, method);
    const call = this.#client.makeBidiStreamRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
    );
    onAbort(options.signal, () => call.cancel());
    // Until the first read grpc-js takes in whatever comes; from then on it stops when nobody reads.
    call.read(0);
    return dataStream(call as never, () => call.cancel(), false);
  }

  close(): void {
    this.#client.close();
  }

  #method(service: ServiceName, method: string): grpc.MethodDefinition<object, object> {
    const definition = serviceDefinition(service)[method];
    if (definition === undefined) throw new Error(`no method ${service}.${method}`);
    return definition as grpc.MethodDefinition<object, object>;
  }

  #checkIdentity(certificate: PeerCertificate): Error | undefined {
    const { role, name } = this.#options.expect;
    try {
      const peer = identityFromCertificate(certificate);
      if (peer.role !== role || (name !== undefined && peer.name !== name)) {
        const wanted = describe(this.#options.expect);
        return new Error(`the certificate there belongs to ${describe(peer)}, not to ${wanted}`);
      }
      if (this.#options.isRevoked?.(peer.fingerprint))
        return new Error(`the certificate of ${describe(peer)} was revoked`);
      this.#peer = peer;
      this.#options.onPeer?.(peer);
    } catch (error) {
      return error as Error;
    }
    return undefined;
  }

  #named(error: unknown): BackupError {
    const plain = rpcError(error);
    if (
      plain.code !== "PEER_UNAVAILABLE" &&
      plain.code !== "PEER_TIMEOUT" &&
      plain.code !== "CONNECTION_LOST"
    )
      return plain;
    return new BackupError(plain.code, `${this.label}: ${plain.message}`, {
      cause: plain,
      retry: plain.retry,
    });
  }
}

function describe({ role, name }: ChannelOptions["expect"]): string {
  return name === undefined ? role : `${role} "${name}"`;
}

/** The result takes the listener off again: signals live longer than calls. */
function onAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}
