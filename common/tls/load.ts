/** Reads and checks what a daemon needs for mutual TLS, with one-line errors that say what to do. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { BackupError, describeError } from "../errors.js";
import { nowMs } from "../time.js";

/** PEM files of one peer. */
export interface TlsFiles {
  /** Certificate of the installation's CA. */
  readonly caFile: string;
  readonly certFile: string;
  /** Private key; readable by its owner alone. */
  readonly keyFile: string;
}

/** PEM contents ready for grpc-js (`createSsl(ca, key, cert)`) or node:tls. */
export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certificate: X509Certificate;
}

const DAY_MS = 86_400_000;

/**
 * Loads the three files and checks that they fit together and are valid now.
 * Throws BackupError `TLS_INVALID` (one line, names the file).
 */
export function loadTls(files: TlsFiles): TlsMaterial {
  const ca = readPem(files.caFile, "CA certificate");
  const cert = readPem(files.certFile, "certificate");
  const key = readPrivateKey(files.keyFile);
  const caCertificate = parseCertificate(ca, files.caFile);
  const certificate = parseCertificate(cert, files.certFile);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw invalid(`key ${files.keyFile} does not belong to certificate ${files.certFile}`);
  }
  if (!certificate.verify(caCertificate.publicKey)) {
    throw invalid(`certificate ${files.certFile} is not signed by the CA in ${files.caFile}`);
  }
  checkValidity(caCertificate, files.caFile, "CA certificate");
  checkValidity(certificate, files.certFile, "certificate");
  return { ca, cert, key, certificate };
}

/**
 * Contents of a private key file. Throws BackupError `TLS_INVALID` when it cannot be read, is open to group or
 * others, belongs to somebody else than root or the own user, or holds no private key.
 */
export function readPrivateKey(file: string): Buffer {
  const pem = readPem(file, "private key");
  const { mode, uid } = statSync(file);
  const bits = mode & 0o7777;
  if ((bits & 0o077) !== 0) {
    const octal = bits.toString(8).padStart(4, "0");
    throw invalid(`private key ${file} has mode ${octal}, open to group or others; run: chmod 600 ${file}`);
  }
  const self = process.geteuid?.();
  if (self !== undefined && uid !== 0 && uid !== self) {
    throw invalid(
      `private key ${file} belongs to uid ${uid}, neither to root nor to this process (uid ${self})`,
    );
  }
  try {
    createPrivateKey(pem);
  } catch (cause) {
    throw invalid(`${file} holds no usable private key (PEM)`, cause);
  }
  return pem;
}

/**
 * A warning line when a certificate ends within `days`, undefined otherwise. Meant for start and once a day.
 */
export function expiryWarning(certificate: X509Certificate, days = 30): string | undefined {
  const endMs = Date.parse(certificate.validTo);
  const leftMs = endMs - nowMs();
  if (leftMs > days * DAY_MS) return undefined;
  const subject = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "without a name";
  if (leftMs <= 0) return `certificate of ${subject} expired on ${certificate.validTo}; renew it`;
  const left = Math.floor(leftMs / DAY_MS);
  return `certificate of ${subject} expires in ${left} day${left === 1 ? "" : "s"} (${certificate.validTo}); renew it`;
}

/** True for a certificate file whose time is over; false also when there is none that can be read. */
export function hasExpired(certFile: string): boolean {
  try {
    return Date.parse(new X509Certificate(readFileSync(certFile)).validTo) <= nowMs();
  } catch {
    return false;
  }
}

function readPem(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw invalid(`cannot read ${what} ${describeError(cause)}`);
  }
}

function parseCertificate(pem: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw invalid(`${file} holds no certificate (PEM)`, cause);
  }
}

function checkValidity(certificate: X509Certificate, file: string, what: string): void {
  if (Date.parse(certificate.validTo) <= nowMs()) {
    throw invalid(`${what} ${file} expired on ${certificate.validTo}; renew it`);
  }
  if (Date.parse(certificate.validFrom) > nowMs()) {
    throw invalid(`${what} ${file} is not valid before ${certificate.validFrom}; check the clock`);
  }
}

function invalid(message: string, cause?: unknown): BackupError {
  return new BackupError("TLS_INVALID", message, cause === undefined ? {} : { cause });
}
