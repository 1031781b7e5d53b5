/**
 * Makes the certificates of an installation: one CA (ECDSA P-256, 10 years), and for every daemon and console a
 * certificate (825 days) whose URI name says who it is: `basalt:filed/web1`. Peers check that name, not the host.
 * Private keys are PKCS#8 PEM, unencrypted; callers write them with mode 0600.
 */

import "reflect-metadata";
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { BackupError } from "../errors.js";
import { nowMs } from "../time.js";
import { identityUri, type Role } from "./identity.js";

const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const PEER_DAYS = 825;
/** Clocks of two machines may differ by this much. */
const BACKDATE_MS = 3_600_000;

const KEY = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

x509.cryptoProvider.set(webcrypto);

/** A certificate without its key. */
export interface IssuedCertificate {
  /** PEM. */
  readonly certPem: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfterMs: number;
}

/** A certificate and its private key, both PEM. */
export interface Issued extends IssuedCertificate {
  readonly keyPem: string;
}

/** A new CA; `name` appears in its subject. */
export async function issueCa(name: string): Promise<Issued> {
  const keys = await newKeys();
  const startMs = nowMs() - BACKDATE_MS;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [name] }, { O: ["Basalt"] }],
    notBefore: new Date(startMs),
    notAfter: new Date(startMs + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNING,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return issued(certificate, keys.privateKey);
}

export interface PeerRequest {
  readonly role: Role;
  readonly name: string;
  /** Host names and IP addresses besides localhost and 127.0.0.1. */
  readonly hosts?: readonly string[];
}

/**
 * A certificate for a peer, signed by the CA; good for both ends of a connection.
 * Throws BackupError `TLS_INVALID` when the CA's PEM cannot be used or its key does not belong to it.
 */
export async function issuePeer(
  ca: { certPem: string; keyPem: string },
  request: PeerRequest,
): Promise<Issued> {
  const keys = await newKeys();
  return issued(await certify(ca, request, keys.publicKey, PEER_DAYS * DAY_MS), keys.privateKey);
}

/**
 * The same for a key that the peer made and keeps: `spki` is the public half in DER. `lifetimeMs`: from now.
 * (Default: 825 days)
 * @throws BackupError TLS_INVALID, also for a key of another kind than EC P-256
 */
export async function issueForKey(
  spki: Buffer,
  ca: { certPem: string; keyPem: string },
  request: PeerRequest,
  lifetimeMs = PEER_DAYS * DAY_MS - BACKDATE_MS,
): Promise<IssuedCertificate> {
  let key: webcrypto.CryptoKey;
  try {
    key = await webcrypto.subtle.importKey("spki", spki, KEY, true, ["verify"]);
  } catch (cause) {
    throw new BackupError("TLS_INVALID", `the key of ${request.role} "${request.name}" is no EC P-256 key`, {
      cause,
    });
  }
  return described(await certify(ca, request, key, lifetimeMs + BACKDATE_MS));
}

/** A certificate for a peer that no CA knows yet, signed with its own key. */
export async function issueSelfSigned(request: PeerRequest): Promise<Issued> {
  const keys = await newKeys();
  const startMs = nowMs() - BACKDATE_MS;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [request.name] }, { OU: [request.role] }, { O: ["Basalt"] }],
    notBefore: new Date(startMs),
    notAfter: new Date(startMs + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNING,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension(alternativeNames(request))],
  });
  return issued(certificate, keys.privateKey);
}

/** True when the private key (PEM) belongs to the certificate (PEM). */
export function keyFits(keyPem: string | Buffer, certPem: string | Buffer): boolean {
  const own = createPublicKey(keyPem).export({ type: "spki", format: "der" });
  return new X509Certificate(certPem).publicKey.export({ type: "spki", format: "der" }).equals(own);
}

async function certify(
  ca: { certPem: string; keyPem: string },
  request: PeerRequest,
  publicKey: webcrypto.CryptoKey,
  lifetimeMs: number,
): Promise<x509.X509Certificate> {
  const authority = new x509.X509Certificate(ca.certPem);
  const signingKey = await importCaKey(ca);
  const startMs = nowMs() - BACKDATE_MS;
  const endMs = Math.min(startMs + lifetimeMs, authority.notAfter.getTime());
  return x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [request.name] }, { OU: [request.role] }, { O: ["Basalt"] }],
    issuer: authority.subject,
    notBefore: new Date(startMs),
    notAfter: new Date(endMs),
    signingAlgorithm: SIGNING,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(request)),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
    ],
  });
}

/** A new Ed25519 pair for job tickets: the director signs, the daemons verify. */
export function issueTicketKeys(): { privatePem: string; publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY, true, ["sign", "verify"]);
}

/** 16 random bytes, positive and without leading zero. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function alternativeNames({ role, name, hosts = [] }: PeerRequest): x509.JsonGeneralNames {
  const all = [...new Set(["localhost", "127.0.0.1", ...hosts])];
  return [
    ...all.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host })),
    { type: "url" as const, value: identityUri(role, name) },
  ];
}

async function importCaKey({
  certPem,
  keyPem,
}: {
  certPem: string;
  keyPem: string;
}): Promise<webcrypto.CryptoKey> {
  try {
    const der = x509.PemConverter.decodeFirst(keyPem);
    const key = await webcrypto.subtle.importKey("pkcs8", der, KEY, false, ["sign"]);
    const probe = randomBytes(32);
    const signature = await webcrypto.subtle.sign(SIGNING, key, probe);
    const publicKey = await new x509.X509Certificate(certPem).publicKey.export(KEY, ["verify"]);
    if (!(await webcrypto.subtle.verify(SIGNING, publicKey, signature, probe))) {
      throw new Error("the key belongs to another certificate");
    }
    return key;
  } catch (cause) {
    throw new BackupError("TLS_INVALID", "the CA's key cannot be used to sign", { cause });
  }
}

async function issued(certificate: x509.X509Certificate, privateKey: webcrypto.CryptoKey): Promise<Issued> {
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  const keyPem = `${x509.PemConverter.encode(pkcs8, x509.PemConverter.PrivateKeyTag)}\n`;
  return { ...described(certificate), keyPem };
}

function described(certificate: x509.X509Certificate): IssuedCertificate {
  const der = Buffer.from(certificate.rawData);
  return {
    certPem: new X509Certificate(der).toString(),
    fingerprint: createHash("sha256").update(der).digest("hex"),
    notAfterMs: certificate.notAfter.getTime(),
  };
}
