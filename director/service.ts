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
import { Audit } from "./console/rights/audit.js";
import type { Director } from "./director.js";
import { provedBefore } from "./enrolment/proved.js";

export interface ServiceOptions {
  director: Director;
  version: string;
  log: Log;
  /** Hears whose certificate was seen. */
  onPeer: (peer: Peer) => void;
  /** Why a console may not come in although its certificate is good. (Default: all may that have proved no password) */
  refusal?: ((peer: Peer) => BackupError | undefined) | undefined;
}

/**
 * Loads all commands, a hundred modules: at the start they would be in the way, and the first console need not wait for them.
 */
export async function loadCommands(): Promise<void> {
  await Promise.all([import("./console/session.js"), import("./console/complete.js")]);
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
      log.info("console connected", { console: peer.name, from: peer.address });
      try {
        const { runSession } = await import("./console/session.js");
        await runSession({ incoming, send, peer, director, signal, log });
      } catch (error) {
        // A console that is gone is no failure of the director.
        if (!signal.aborted) throw error;
      } finally {
        log.info("console left", { console: peer.name });
      }
    },
    Complete: async (request: CompleteRequest, { peer }: CallContext): Promise<CompleteReply> => {
      const { completeLine } = await import("./console/complete.js");
      return completeLine(director, request.line, peer.name);
    },
  };
  server.add("Director", handlers, (_method, peer) => {
    const refusal = whyNot(director, peer) ?? (options.refusal ?? withoutPasswords)(peer);
    if (refusal === undefined) return true;
    new Audit(peer, log, director.messages).refused(peer.role, refusal.message);
    throw refusal;
  });
}

/** Passwords were in the configuration once, and what was given for them may not have ended yet. */
function withoutPasswords({ name, proved }: Peer): BackupError | undefined {
  return proved === true ? provedBefore(name) : undefined;
}

/** Why a caller may not come in; undefined: it may. */
function whyNot(director: Director, peer: Peer): BackupError | undefined {
  if (peer.role !== "console")
    return new BackupError("PERMISSION_DENIED", `${peer.role} "${peer.name}" may not call the director here`);
  const resource = director.config.consoles.get(peer.name);
  if (resource === undefined && peer.named === true) {
    const message = `console "${peer.name}" has no Console resource (any more): it may do nothing`;
    return new BackupError("PERMISSION_DENIED", message);
  }
  const pinned = resource?.fingerprint;
  if (pinned === undefined || pinned === peer.fingerprint) return undefined;
  const message = `console "${peer.name}" shows another certificate than the one in its Fingerprint directive`;
  return new BackupError("TLS_IDENTITY", message);
}
