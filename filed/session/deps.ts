/** What sessions need from the daemon around them. */
import type { Log } from "../../common/log.js";
import type { ProtocolVersion, RpcTls } from "../../proto/rpc.js";
import type { FiledConfig } from "../config.js";
import type { NamesInbox } from "../lists/inbox.js";

/** Settings by console commands; gone with the process. */
export interface SessionSettings {
  /** Network limits of each job by director, bytes per second, 0: none. */
  bandwidth: Map<string, number>;
  /** The next backup breaks off after so many files, or (negative) kilobytes; 0: none does. */
  hangup: number;
}

export interface SessionDeps {
  /** The configuration in force; may change at any time. */
  config: () => FiledConfig;
  log: Log;
  /** Lists of files that directors sent. */
  inbox: NamesInbox;
  tls: RpcTls;
  isRevoked: (fingerprint: string) => boolean;
  /** What this daemon says that it speaks; tests make it an older one. (Default: PROTOCOL) */
  protocol?: ProtocolVersion | undefined;
  /** What the director has set since the daemon began; shared by all sessions. */
  settings?: SessionSettings | undefined;
}
