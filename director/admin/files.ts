/** What the administrative commands share: files of an installation, templates, certificates on disk. */

import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../common/package.js";
import { identityOfCertificate, type PeerIdentity, type Role } from "../../common/tls/identity.js";
import { type Issued, type IssuedCertificate, issuePeer } from "../../common/tls/issue.js";
import { readPrivateKey } from "../../common/tls/load.js";
import { makeDirectory, writeNew } from "../../common/write-file.js";

export { makeDirectory, replaceFile, writeNew } from "../../common/write-file.js";

/** Lines for the operator. */
export type Print = (line: string) => void;

/** What replaces the example's values in the files of conf/. */
export interface TemplateValues {
  /** Stands for `kvm-01`, the start of all names. */
  readonly host: string;
  /** Stands for 9101; file and storage daemon get the next two. */
  readonly portBase: number;
  /** Stands for `/etc/basalt`. */
  readonly directory: string;
}

/** A file of conf/ with the values put in for those of the example. */
export function renderTemplate(name: string, { host, portBase, directory }: TemplateValues): string {
  const text = readFileSync(path.join(packageRoot(), "conf", name), "utf8");
  return text
    .replace(/\bkvm-01\b/g, () => host)
    .replaceAll("/opt/basalt/basalt", () => path.join(packageRoot(), "basalt"))
    .replaceAll("/etc/basalt", () => directory)
    .replace(/\b910([123])\b/g, (_, digit: string) => String(portBase + Number(digit) - 1));
}

/** Certificate and key of the installation's CA, from the directory that holds ca.crt and ca.key. */
export function readCa(pki: string): { certPem: string; keyPem: string } {
  const keyPem = readPrivateKey(path.join(pki, "ca.key")).toString();
  return { certPem: readFileSync(path.join(pki, "ca.crt"), "utf8"), keyPem };
}

/**
 * Issues a certificate and keeps a copy of it (without key) in `pki/issued`, from where it can be revoked
 * even when its holder is out of reach.
 */
export async function issueAndRecord(
  pki: string,
  request: { role: Role; name: string; hosts: readonly string[] },
): Promise<Issued> {
  const made = await issuePeer(readCa(pki), request);
  recordIssued(pki, made);
  return made;
}

/** Keeps a copy of a certificate in `pki/issued`. */
export function recordIssued(pki: string, { fingerprint, certPem }: IssuedCertificate): void {
  makeDirectory(path.join(pki, "issued"));
  writeNew(path.join(pki, "issued", `${fingerprint}.crt`), certPem, 0o644);
}

/** Those of `pki/issued` whose fingerprint (SHA-256, hex) is wanted (PEM). */
export function issuedIn(pki: string, isWanted: (fingerprint: string) => boolean): Buffer[] {
  const directory = path.join(pki, "issued");
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^[0-9a-f]{64}\.crt$/.test(name) && isWanted(name.slice(0, 64)))
    .map((name) => readFileSync(path.join(directory, name)));
}

/** A certificate found in a directory. */
export interface FoundCertificate {
  readonly file: string;
  readonly identity: PeerIdentity;
  readonly certificate: X509Certificate;
}

/** All *.crt of a directory that carry an identity; others, such as the CA's, are passed over. */
export function certificatesIn(directory: string): FoundCertificate[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.endsWith(".crt"));
  return names.sort().flatMap((name) => {
    const file = path.join(directory, name);
    try {
      const certificate = new X509Certificate(readFileSync(file));
      return [{ file, certificate, identity: identityOfCertificate(certificate.raw) }];
    } catch {
      return [];
    }
  });
}

/** Host names and addresses a certificate was issued for. */
export function hostsOf(certificate: X509Certificate): string[] {
  const names = (certificate.subjectAltName ?? "").split(", ");
  return names.flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? []);
}
