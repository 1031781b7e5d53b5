/** Who a certificate says its holder is: the URI `basalt:ROLE/NAME` among its alternative names. */

import { createHash, X509Certificate } from "node:crypto";
import { BackupError } from "../errors.js";

export const ROLES = ["director", "filed", "storaged", "console"] as const;
export type Role = (typeof ROLES)[number];

/** Host name in certificates of consoles that may do nothing without a Console resource of their name. */
export const NAMED_CONSOLE_HOST = "named-console.basalt.invalid";

/** Host name in certificates of consoles that have proved a password: good for one connection, while that is the password. */
export const PROVED_CONSOLE_HOST = "proved-console.basalt.invalid";

export interface PeerIdentity {
  readonly role: Role;
  /** Name of the resource. */
  readonly name: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint256: string;
}

/** `basalt:filed/web%201`; the name is percent-encoded. */
export function identityUri(role: Role, name: string): string {
  return `basalt:${role}/${encodeURIComponent(name)}`;
}

/** SHA-256 of a certificate in DER, lower-case hex. */
export function fingerprintOf(der: Buffer): string {
  return createHash("sha256").update(der).digest("hex");
}

/**
 * The identity in a certificate that TLS has verified already.
 * Throws BackupError `PEER_UNKNOWN` when it is not a certificate or carries not exactly one identity.
 */
export function identityOfCertificate(der: Buffer): PeerIdentity {
  let names: string;
  try {
    names = new X509Certificate(der).subjectAltName ?? "";
  } catch (cause) {
    throw new BackupError("PEER_UNKNOWN", "the peer sent no readable certificate", { cause });
  }
  const found = splitNames(names).flatMap((entry) => parseUri(entry) ?? []);
  if (found.length !== 1) {
    throw new BackupError("PEER_UNKNOWN", "the peer's certificate names no Basalt daemon or console", {
      context: { names },
    });
  }
  return { ...found[0]!, fingerprint256: fingerprintOf(der) };
}

/** True for a certificate (DER) of a director, of this name if one is given, that this CA (PEM) has signed. */
export function isDirectorOf(ca: Buffer | string, certificate: Buffer, director?: string): boolean {
  try {
    const { role, name } = identityOfCertificate(certificate);
    const vouched = new X509Certificate(certificate).verify(new X509Certificate(ca).publicKey);
    return vouched && role === "director" && (director === undefined || name === director);
  } catch {
    return false;
  }
}

/** Node writes a value that holds a comma or quote as a JSON string; such an entry is never an identity. */
function splitNames(names: string): string[] {
  return names.split(", ").filter((entry) => !entry.includes('"'));
}

function parseUri(entry: string): { role: Role; name: string } | undefined {
  const match = /^URI:basalt:([a-z]+)\/([A-Za-z0-9%:._$@+'()*!~-]+)$/.exec(entry);
  const role = ROLES.find((each) => each === match?.[1]);
  if (match === null || role === undefined) return undefined;
  try {
    return { role, name: decodeURIComponent(match[2]!) };
  } catch {
    return undefined;
  }
}
