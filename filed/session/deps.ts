/** What sessions need from the daemon around them. */
import type { Log } from "../../common/log.js";
import type { ProtocolVersion, RpcTls } from "../../proto/rpc.js";
import type { FiledConfig } from "../config.js";
import type { NamesInbox } from "../lists/inbox.js";

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
}
