/** Loads the .proto files and names the raw-bytes methods that stand beside them. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

// What fails is told by whoever called, in one line; grpc-js would print its own beside it.
if (process.env.GRPC_VERBOSITY === undefined) grpc.setLogVerbosity(grpc.logVerbosity.NONE);

export interface RpcTls {
  /** PEM. */
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

export type ServiceName = "Filed" | "Storaged" | "Director";
export type DataServiceName = "FiledData" | "StoragedData";

/** Largest message either side accepts; bulk messages are about 1 MiB. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/**
 * Receive window of a calling client: what keeps a fast or a long line full. A receiver gives room back when half of it
 * was read.
 */
const WINDOW_BYTES = 8 * 1024 * 1024;
/**
 * That of a server. No more than the kernel takes for both sockets in any case: an end that is writing does not read in
 * Node's HTTP/2, so when both windows were larger than that, both ends could wait for each other for ever.
 */
export const SERVER_WINDOW_BYTES = 128 * 1024;
/** That of a server for a caller that sends much and is sent little, on every connection of its own. */
export const WIDE_SERVER_WINDOW_BYTES = 4 * 1024 * 1024;

/** Options of both sides: limits, and keepalives so that a vanished peer is noticed within half a minute. */
export const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc-node.flow_control_window": WINDOW_BYTES,
  "grpc-node.max_session_memory": 64,
  // A daemon that comes back must be found at once, not after minutes of growing pauses.
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 5_000,
};

function protoDirectory(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  // Compiled code lies in build/proto/rpc while the .proto files stay where they were written.
  for (let up = 0; up < 6; up++, at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return join(at, "proto");
  }
  throw new Error("the directory of the .proto files was not found");
}

const loaded = new Map<ServiceName, grpc.ServiceDefinition>();

/** Definition of a service of proto/*.proto. Each has a file of its own, and no program needs all of them. */
export function serviceDefinition(name: ServiceName): grpc.ServiceDefinition {
  let found = loaded.get(name);
  if (found === undefined) {
    const includeDirs = [protoDirectory()];
    const options = { longs: Number, enums: String, defaults: true, oneofs: true, includeDirs };
    const packages = loadSync(`${name.toLowerCase()}.proto`, options);
    found = packages[`basalt.v1.${name}`] as grpc.ServiceDefinition;
    loaded.set(name, found);
  }
  return found;
}

/** Credentials of a server that wants a certificate of this CA from everybody. */
export function serverCredentials({ ca, cert, key }: RpcTls): grpc.ServerCredentials {
  return grpc.ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
}

/** Definition of one bidirectional method whose messages are plain bytes: no protobuf copy of the payload. */
export function dataMethod(service: DataServiceName, method: string): grpc.MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path: `/basalt.v1.${service}/${method}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}
