/** Version of the protocol between daemons and the one rule of who may talk to whom. */
import { BackupError } from "../../common/errors.js";
import type { PeerRole } from "./identity.js";

export interface ProtocolVersion {
  major: number;
  minor: number;
}

/** What this program speaks. A minor step adds messages or fields; a major step changes what exists. */
export const PROTOCOL: ProtocolVersion = { major: 1, minor: 3 };

/** Since this minor version file daemons take lists in a call of their own. */
export const LISTS_APART_MINOR = 3;

/**
 * Director and storaged are upgraded first, the many filed later: a filed may be one minor version older.
 * Everything else must be equal, so that two daemons of one installation never differ for long.
 * @throws BackupError PROTOCOL_MISMATCH
 */
export function checkProtocol(role: PeerRole, name: string, peer: ProtocolVersion, own = PROTOCOL): void {
  const older = role === "filed" ? 1 : 0;
  if (peer.major === own.major && peer.minor <= own.minor && peer.minor >= own.minor - older) return;
  // The older side must accept its newer peer too: it cannot know what it does not understand yet.
  if (role !== "filed" && peer.major === own.major && peer.minor === own.minor + 1) return;
  const versions = `${peer.major}.${peer.minor}, this daemon ${own.major}.${own.minor}`;
  throw new BackupError(
    "PROTOCOL_MISMATCH",
    `${role} "${name}" speaks protocol ${versions}; install the same release on both`,
  );
}
