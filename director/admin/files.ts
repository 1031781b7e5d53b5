/** What the administrative commands share: files of an installation, templates, certificates on disk. */

import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { packageRoot } from "../../common/package.js";
import { identityOfCertificate, type PeerIdentity, type Role } from "../../common/tls/identity.js";
import { type Issued, issuePeer } from "../../common/tls/issue.js";
import { readPrivateKey } from "../../common/tls/load.js";

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

/** Writes a new file durably; false when one of that name is there, which then stays as it is. */
export function writeNew(file: string, content: string, mode: number): boolean {
  let fd: number;
  try {
    fd = openSync(file, "wx", mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return true;
}

/** Replaces a file in one step: readers see the old or the new content. */
export function replaceFile(file: string, content: string, mode: number): void {
  const temporary = `${file}.new-${process.pid}`;
  if (!writeNew(temporary, content, mode)) throw new Error(`${temporary} exists; remove it`);
  renameSync(temporary, file);
}

/** Makes a directory for its owner alone, parents included; an existing one keeps its mode. */
export function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
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
  makeDirectory(path.join(pki, "issued"));
  writeNew(path.join(pki, "issued", `${made.fingerprint}.crt`), made.certPem, 0o644);
  return made;
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
