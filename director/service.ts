/** The Director service: what consoles may call. */

import { BackupError } from "../common/errors.js";
import type { Log } from "../common/log.js";
import type { CompleteReply } from "../proto/generated/basalt/v1/CompleteReply.js";
import type { CompleteRequest__Output as CompleteRequest } from "../proto/generated/basalt/v1/CompleteRequest.js";
import type { ConsoleInput__Output as ConsoleInput } from "../proto/generated/basalt/v1/ConsoleInput.js";
import type { ConsoleOutput } from "../proto/generated/basalt/v1/ConsoleOutput.js";
import type { HelloReply } from "../proto/generated/basalt/v1/HelloReply.js";
import type { HelloRequest__Output as HelloRequest } from "../proto/generated/basalt/v1/HelloRequest.js";
import {
  type CallContext,
  checkProtocol,
  type Handlers,
  type Peer,
  PROTOCOL,
  type RpcServer,
} from "../proto/rpc.js";
import { completeLine } from "./console/complete.js";
import { runSession } from "./console/session.js";
import type { Director } from "./director.js";

export interface ServiceOptions {
  director: Director;
  version: string;
  log: Log;
  /** Hears whose certificate was seen. */
  onPeer: (peer: Peer) => void;
}

/** Adds the service to a server. Consoles only; one pinned by Fingerprint must show that certificate. */
export function addDirectorService(server: RpcServer, options: ServiceOptions): void {
  const { director, log } = options;
  const handlers: Handlers = {
    Hello: async (request: HelloRequest, { peer }: CallContext): Promise<HelloReply> => {
      checkProtocol("console", peer.name, { major: request.protocolMajor, minor: request.protocolMinor });
      options.onPeer(peer);
      return {
        role: "director",
        name: director.config.director.name,
        protocolMajor: PROTOCOL.major,
        protocolMinor: PROTOCOL.minor,
        software: options.version,
      };
    },
    Session: async (
      incoming: AsyncIterable<ConsoleInput>,
      { peer, signal }: CallContext,
      send: (output: ConsoleOutput) => Promise<void>,
    ): Promise<void> => {
      log.info("console connected", { console: peer.name });
      try {
        await runSession({ incoming, send, peer, director, signal, log });
      } catch (error) {
        // A console that is gone is no failure of the director.
        if (!signal.aborted) throw error;
      } finally {
        log.info("console left", { console: peer.name });
      }
    },
    Complete: async (request: CompleteRequest, { peer }: CallContext): Promise<CompleteReply> =>
      completeLine(director, request.line, peer.name),
  };
  server.add("Director", handlers, (_method, peer) => mayEnter(director, peer));
}

function mayEnter(director: Director, peer: Peer): boolean {
  if (peer.role !== "console") return false;
  const pinned = director.config.consoles.get(peer.name)?.fingerprint;
  if (pinned !== undefined && pinned !== peer.fingerprint) {
    const message = `console "${peer.name}" shows another certificate than the one in its Fingerprint directive`;
    throw new BackupError("TLS_IDENTITY", message);
  }
  return true;
}
