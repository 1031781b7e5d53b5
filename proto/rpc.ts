/** The typed layer over gRPC that all daemons and the console share. */
export { type ChannelOptions, RpcChannel } from "./rpc/channel.js";
export type { DataStream } from "./rpc/data-stream.js";
export type { RpcTls, ServiceName } from "./rpc/definitions.js";
export type { FrontDoor } from "./rpc/front-door.js";
export { identityFromCertificate, type Peer, type PeerRole } from "./rpc/identity.js";
export {
  type CallContext,
  type Handler,
  type Handlers,
  RpcServer,
  type ServerOptions,
} from "./rpc/server.js";
export { checkProtocol, LISTS_APART_MINOR, PROTOCOL, type ProtocolVersion } from "./rpc/version.js";
