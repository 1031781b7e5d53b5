/** Who is at the other end: the role and name in the certificate, never what a message says. */
import { createHash } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { BackupError } from "../../common/errors.js";
import { NAMED_CONSOLE_HOST, PROVED_CONSOLE_HOST } from "../../common/tls/identity.js";

export type PeerRole = "director" | "filed" | "storaged" | "console";

export interface Peer {
  role: PeerRole;
  /** Name of the Director, Client, Storage or Console resource. */
  name: string;
  /** SHA-256 of the certificate, lower-case hex. */
  fingerprint: string;
  /** End of the certificate's validity, ms. */
  expiresMs?: number;
  /** A console that may do nothing without a Console resource of its name. */
  named?: boolean;
  /** A console whose certificate was given for a password. */
  proved?: boolean;
  /** Where a call comes from: `10.0.0.7:50412`. */
  address?: string;
}

const URI = /(?:^|, )URI:basalt:(director|filed|storaged|console)\/([^,"]+)(?:,|$)/;

/** @throws BackupError TLS_IDENTITY when the certificate names no Basalt daemon. */
export function identityFromCertificate(certificate: PeerCertificate | undefined): Peer {
  const names = certificate?.subjectaltname ?? "";
  const match = URI.exec(names);
  if (certificate?.raw === undefined || match === null) {
    throw new BackupError("TLS_IDENTITY", "the peer's certificate names no Basalt daemon or console");
  }
  const hosts = names.split(", ");
  return {
    role: match[1] as PeerRole,
    name: decodeURIComponent(match[2]!),
    fingerprint: createHash("sha256").update(certificate.raw).digest("hex"),
    expiresMs: Date.parse(certificate.valid_to),
    ...(hosts.includes(`DNS:${NAMED_CONSOLE_HOST}`) ? { named: true } : {}),
    ...(hosts.includes(`DNS:${PROVED_CONSOLE_HOST}`) ? { proved: true } : {}),
  };
}
