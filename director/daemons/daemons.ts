/**
 * Connections to file and storage daemons. One channel per daemon, opened when first needed, checked with a Hello
 * on every use: it proves that the daemon is there now, that the protocol fits, and brings it the revocation list.
 * A storage daemon gets the pools of the configuration in force before anything else is asked of it.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import type { FiledStatus__Output as FiledStatus } from "../../proto/generated/basalt/v1/FiledStatus.js";
import type { HelloReply__Output as HelloReply } from "../../proto/generated/basalt/v1/HelloReply.js";
import type { NetworkTestResult__Output as NetworkTestResult } from "../../proto/generated/basalt/v1/NetworkTestResult.js";
import type { StorageStatus__Output as StorageStatus } from "../../proto/generated/basalt/v1/StorageStatus.js";
import { checkProtocol, type Peer, PROTOCOL, RpcChannel, type RpcTls } from "../../proto/rpc.js";
import type { ClientResource, DirectorConfig, StorageResource } from "../config/types.js";
import type { PinnedDaemons } from "../enrolment/pinned.js";
import { canRetry, mayBeSomebodyElse, reason } from "./failures.js";
import { type NetworkLoad, testNetwork } from "./network-test.js";
import { syncPools } from "./pools.js";

export type { FiledStatus, NetworkTestResult, StorageStatus };

export interface ConnectOptions {
  signal?: AbortSignal;
  /** How long to try again while the daemon does not answer, ms. (Default: 0, one attempt) */
  timeoutMs?: number;
  /** Hears once that the first attempt failed and others follow. */
  onRetry?: (warning: string) => void;
}

export interface DaemonsOptions {
  config: () => DirectorConfig;
  tls: RpcTls;
  /** PEM of the key that signs tickets. */
  ticketKey: string | Buffer;
  /** This program's version, told to the peers. */
  software: string;
  isRevoked: (fingerprint: string) => boolean;
  /** Fingerprints that every daemon is to refuse. */
  revoked: () => readonly string[];
  /** Hears whose certificate was seen. */
  onPeer?: (peer: Peer) => void;
  /** The certificates of daemons that are known by a password. (Default: the CA and the names tell) */
  pins?: Pick<PinnedDaemons, "fingerprint"> | undefined;
}

interface Connection {
  /** Address, port and the fingerprint of its only certificate, if that is known; blanks between them. */
  key: string;
  channel: RpcChannel;
  peer: Peer | undefined;
  /** Configuration whose pools and retention rules the storage daemon has. */
  pools: DirectorConfig | undefined;
  /** Start of the process that has them. */
  startedMs: number;
}

interface Target {
  role: "filed" | "storaged";
  service: "Filed" | "Storaged";
  name: string;
  address: string;
  port: number;
  fingerprint: string | undefined;
  /** `Client: web1-fd on 10.0.0.5:9102` */
  label: string;
}

const HELLO_MS = 10_000;
const STATUS_MS = 10_000;
const PAUSE_MS = 2000;

export class Daemons {
  readonly #options: DaemonsOptions;
  readonly #connections = new Map<string, Connection>();
  /** Channels to addresses of an older configuration; jobs may still use them. */
  readonly #retired: RpcChannel[] = [];

  constructor(options: DaemonsOptions) {
    this.#options = options;
  }

  /**
   * A channel to the client's file daemon whose Hello was answered just now. Never close it.
   * @throws BackupError NOT_FOUND, CONNECT_FAILED, PROTOCOL_MISMATCH, CERTIFICATE_REVOKED, or the signal's reason
   */
  filed(client: string, options: ConnectOptions = {}): Promise<RpcChannel> {
    const resource = this.#options.config().clients.get(client);
    if (resource === undefined) throw new BackupError("NOT_FOUND", `Client "${client}" not found`);
    return this.connectFiled(resource, options);
  }

  /** The same for the daemon of a Storage resource. */
  storaged(storage: string, options: ConnectOptions = {}): Promise<RpcChannel> {
    const resource = this.#options.config().storages.get(storage);
    if (resource === undefined) throw new BackupError("NOT_FOUND", `Storage "${storage}" not found`);
    return this.connectStoraged(resource, options);
  }

  /** As `filed`, with a resource that need not be in the configuration any more. */
  connectFiled(client: ClientResource, options: ConnectOptions = {}): Promise<RpcChannel> {
    const label = `Client: ${client.name} on ${client.address}:${client.port}`;
    return this.#connect({ role: "filed", service: "Filed", ...target(client), label }, options);
  }

  /** The channel of a storage daemon that was greeted before and has the pools of the configuration in force. */
  greeted(storage: StorageResource): RpcChannel | undefined {
    const known = this.#connections.get(`storaged ${storage.name}`);
    if (known?.peer === undefined || known.pools !== this.#options.config()) return undefined;
    const { address, port } = storage;
    if (!known.key.startsWith(`${address} ${port} `) || this.#isRefused(target(storage), known.peer))
      return undefined;
    return known.channel;
  }

  connectStoraged(storage: StorageResource, options: ConnectOptions = {}): Promise<RpcChannel> {
    const label = `Storage daemon: ${storage.name} on ${storage.address}:${storage.port}`;
    return this.#connect({ role: "storaged", service: "Storaged", ...target(storage), label }, options);
  }

  async filedStatus(client: string): Promise<FiledStatus> {
    const channel = await this.filed(client);
    return channel.unary<FiledStatus>("Filed", "Status", {}, { timeoutMs: STATUS_MS });
  }

  async storagedStatus(storage: string): Promise<StorageStatus> {
    const channel = await this.storaged(storage);
    return channel.unary<StorageStatus>("Storaged", "Status", {}, { timeoutMs: STATUS_MS });
  }

  /**
   * Measures the line between the daemons of two resources.
   * @throws BackupError NOT_FOUND, CONNECT_FAILED, or what the test itself meets
   */
  async testNetwork(client: string, storage: string, load: NetworkLoad): Promise<NetworkTestResult> {
    const { config, ticketKey } = this.#options;
    const storaged = await this.storaged(storage, load);
    await this.filed(client, load);
    const resource = config().clients.get(client)!;
    const granted = { director: config().director.name, ticketKey };
    return await testNetwork({ client: resource, storaged }, granted, load);
  }

  /** Closes every channel; calls that run break. */
  close(): void {
    for (const { channel } of this.#connections.values()) channel.close();
    for (const channel of this.#retired) channel.close();
    this.#connections.clear();
  }

  async #connect(daemon: Target, options: ConnectOptions): Promise<RpcChannel> {
    const until = monotonicMs() + (options.timeoutMs ?? 0);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#reach(daemon, options.signal);
      } catch (error) {
        if (options.signal?.aborted === true) throw options.signal.reason;
        const words = reason(error);
        if (!canRetry(error, words)) throw error;
        const leftMs = until - monotonicMs();
        if (leftMs <= 0) {
          const message = `Unable to connect to ${daemon.label}. ERR=${words}`;
          throw new BackupError("CONNECT_FAILED", message, { retry: "later" });
        }
        if (attempt === 1)
          options.onRetry?.(`Could not connect to ${daemon.label}. ERR=${words} Retrying ...`);
        await sleep(
          Math.min(PAUSE_MS, leftMs),
          undefined,
          options.signal === undefined ? {} : { signal: options.signal },
        );
      }
    }
  }

  /** One attempt. */
  async #reach(daemon: Target, signal: AbortSignal | undefined): Promise<RpcChannel> {
    const { pins } = this.#options;
    if (pins === undefined || daemon.fingerprint !== undefined) return this.#greet(daemon, signal);
    const fingerprint = await pins.fingerprint(daemon, false, signal);
    try {
      return await this.#greet({ ...daemon, fingerprint }, signal);
    } catch (error) {
      // Another certificate, or a password that changed there: the daemon is asked who it is.
      if (!mayBeSomebodyElse(error)) throw error;
      const again = await pins.fingerprint(daemon, true, signal);
      return this.#greet({ ...daemon, fingerprint: again }, signal);
    }
  }

  async #greet(daemon: Target, signal: AbortSignal | undefined): Promise<RpcChannel> {
    const connection = this.#connection(daemon);
    await this.#hello(daemon, connection, signal);
    return connection.channel;
  }

  #connection(daemon: Target): Connection {
    const key = `${daemon.role} ${daemon.name}`;
    const address = `${daemon.address} ${daemon.port} ${daemon.fingerprint ?? ""}`;
    const known = this.#connections.get(key);
    if (known !== undefined && known.key === address && !this.#isRefused(daemon, known.peer)) return known;
    if (known !== undefined) this.#retire(daemon, known, address);
    const { tls, onPeer } = this.#options;
    const connection: Connection = {
      key: address,
      channel: undefined as never,
      peer: undefined,
      pools: undefined,
      startedMs: 0,
    };
    connection.channel = new RpcChannel({
      address: daemon.address,
      port: daemon.port,
      tls,
      // Several Storage resources may stand for devices of one daemon, so their names are not in its certificate.
      expect: { role: daemon.role, ...(daemon.role === "filed" ? { name: daemon.name } : {}) },
      isRevoked: this.#options.isRevoked,
      onPeer: (peer) => {
        connection.peer = peer;
        onPeer?.(peer);
      },
    });
    this.#connections.set(key, connection);
    return connection;
  }

  /** One that leads to somebody else was never used, and would come again with every attempt. */
  #retire(daemon: Target, { key, channel, peer }: Connection, address: string): void {
    if (key === address && peer !== undefined && wrongFingerprint(daemon, peer)) channel.close();
    else this.#retired.push(channel);
  }

  #isRefused(daemon: Pick<Target, "fingerprint">, peer: Peer | undefined): boolean {
    if (peer === undefined) return false;
    return this.#options.isRevoked(peer.fingerprint) || wrongFingerprint(daemon, peer);
  }

  async #hello(daemon: Target, connection: Connection, signal?: AbortSignal): Promise<void> {
    const { channel } = connection;
    const request = {
      role: "director",
      name: this.#options.config().director.name,
      protocolMajor: PROTOCOL.major,
      protocolMinor: PROTOCOL.minor,
      software: this.#options.software,
      revokedFingerprints: [...this.#options.revoked()],
    };
    const call = { timeoutMs: HELLO_MS, ...(signal === undefined ? {} : { signal }) };
    const reply = await channel.unary<HelloReply>(daemon.service, "Hello", request, call).catch((cause) => {
      if (codeOf(cause) !== "PROTOCOL_MISMATCH") throw cause;
      const message = `${daemon.label} refuses this director: ${describeError(cause)}`;
      throw new BackupError("PROTOCOL_MISMATCH", message, { cause: cause.cause });
    });
    channel.protocol = { major: reply.protocolMajor, minor: reply.protocolMinor };
    checkProtocol(daemon.role, daemon.name, channel.protocol);
    const { peer } = connection;
    if (peer !== undefined && wrongFingerprint(daemon, peer)) {
      const message = `${daemon.label} shows another certificate than the one in its Fingerprint directive`;
      throw new BackupError("TLS_IDENTITY", message);
    }
    const config = this.#options.config();
    if (
      daemon.role === "storaged" &&
      (connection.pools !== config || connection.startedMs !== reply.startedMs)
    ) {
      await syncPools(channel, config);
      connection.pools = config;
      connection.startedMs = reply.startedMs;
    }
  }
}

function target(resource: ClientResource | StorageResource) {
  const { name, address, port, fingerprint } = resource;
  return { name, address, port, fingerprint };
}

function wrongFingerprint(daemon: Pick<Target, "fingerprint">, peer: Peer): boolean {
  return daemon.fingerprint !== undefined && daemon.fingerprint !== peer.fingerprint;
}
