/**
 * One port for two kinds of callers: gRPC under mutual TLS, and those who have no certificate yet and begin with the
 * preface of a first contact. The first bytes tell which; nothing that a stranger sends is kept.
 */
import { createServer, type Server as NetServer, type Socket } from "node:net";
import type * as grpc from "@grpc/grpc-js";
import { PREFACE } from "../enrol/wire.js";
import { type RpcTls, serverCredentials } from "./definitions.js";

export interface FrontDoor {
  /** The certificates in force; undefined: none yet, and gRPC is not served. Another object for other certificates. */
  tls(): RpcTls | undefined;
  /** Takes over a connection behind its preface. */
  answer(socket: Socket): void;
}

/** First byte of a TLS handshake (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;
const FIRST_BYTES_MS = 10_000;

/** Listens; port 0 picks a free one. @throws system errors */
export function openFrontDoor(
  server: grpc.Server,
  door: FrontDoor,
  { address, port }: { address: string; port: number },
): Promise<{ listener: NetServer; port: number }> {
  const toGrpc = grpcIn(server, door);
  const listener = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    sort(socket, { toGrpc, toDoor: (found) => door.answer(found) });
  });
  return new Promise((resolve, reject) => {
    // Later ones, such as too many open files, cost a connection that was about to be taken, and not the daemon.
    listener.on("error", reject);
    listener.listen({ host: address.replace(/^\[(.*)\]$/, "$1"), port }, () => {
      const bound = listener.address();
      resolve({ listener, port: typeof bound === "object" && bound !== null ? bound.port : port });
    });
  });
}

/** Hands connections to gRPC. Those that were made under earlier certificates go on. */
function grpcIn(server: grpc.Server, door: FrontDoor): (socket: Socket) => void {
  let current: { tls: RpcTls; inject: (socket: Socket) => void } | undefined;
  return (socket) => {
    const tls = door.tls();
    if (tls === undefined) {
      socket.destroy();
      return;
    }
    if (current?.tls !== tls) {
      const injector = server.createConnectionInjector(serverCredentials(tls));
      current = { tls, inject: (found) => injector.injectConnection(found) };
    }
    current.inject(socket);
  };
}

/** Reads as little as tells the two apart, and puts it back where it belongs to what follows. */
function sort(
  socket: Socket,
  to: { toGrpc: (socket: Socket) => void; toDoor: (socket: Socket) => void },
): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_MS);
  socket.once("close", () => clearTimeout(timer));
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const isPreface = PREFACE.subarray(0, seen.length).equals(seen.subarray(0, PREFACE.length));
    if (isPreface && seen.length < PREFACE.length) return;
    clearTimeout(timer);
    socket.off("readable", look);
    const rest = isPreface ? seen.subarray(PREFACE.length) : seen;
    if (rest.length > 0) socket.unshift(rest);
    if (isPreface) to.toDoor(socket);
    else if (seen[0] === TLS_HANDSHAKE) to.toGrpc(socket);
    else socket.destroy();
  };
  socket.on("readable", look);
}
