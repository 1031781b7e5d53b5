/**
 * Proof that both ends of a TLS connection know the same password, without sending it.
 *
 * Each side sends HMAC-SHA-256(key, side, transcript). The key is scrypt of the password, so that guessing is slow. The
 * transcript holds what only these two ends of this very connection share: keying material exported from TLS 1.3 (RFC 5705,
 * with the label of RFC 9266), both certificates, and both first messages with their nonces. So a proof is worth nothing on
 * another connection, to somebody in between, or sent back to who made it.
 */

import { createHash, createHmac, type ScryptOptions, scrypt, scryptSync, timingSafeEqual } from "node:crypto";

/** Who a password is shared by. */
export interface Sharers {
  readonly role: string;
  /** The director's name, and that of the other one. */
  readonly director: string;
  readonly peer: string;
}

export interface ChannelFacts {
  /** 32 bytes exported from the TLS connection under EXPORTER_LABEL. */
  readonly exported: Buffer;
  /** Certificates (DER) that the two ends have shown. */
  readonly callerCertificate: Buffer;
  readonly calledCertificate: Buffer;
  /** The first message of each, byte for byte. */
  readonly callerHello: Buffer;
  readonly calledHello: Buffer;
}

export const EXPORTER_LABEL = "EXPORTER-Channel-Binding";
export const EXPORTED_BYTES = 32;

const COST: ScryptOptions = { N: 16384, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;

/** The key of a password, away from the main thread. About 40 ms. */
export function passwordKey(password: string, sharers: Sharers): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secretOf(password), salt(sharers), KEY_BYTES, COST, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/** The same at once. */
export function passwordKeySync(password: string, sharers: Sharers): Buffer {
  return scryptSync(secretOf(password), salt(sharers), KEY_BYTES, COST);
}

/**
 * Bareos may write `[md5]…` in place of the password in one of two files (manual, "Password"), so what is shared is the
 * MD5 of it.
 */
function secretOf(password: string): string {
  const written = /^\[md5\]([0-9a-f]{32})$/i.exec(password)?.[1];
  return written?.toLowerCase() ?? createHash("md5").update(password).digest("hex");
}

function salt({ role, director, peer }: Sharers): Buffer {
  return digestOf(["basalt password 1", role, director, peer].map((part) => Buffer.from(part)));
}

/** What one side sends: `caller` opened the connection. */
export function proofOf(side: "caller" | "called", key: Buffer, channel: ChannelFacts): Buffer {
  const { exported, callerCertificate, calledCertificate, callerHello, calledHello } = channel;
  const transcript = digestOf([exported, callerCertificate, calledCertificate, callerHello, calledHello]);
  return createHmac("sha256", key).update(`basalt proof 1 ${side}\0`).update(transcript).digest();
}

/** Compares without telling by time how much is right. */
export function isProof(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Tells later whether the password is still the same; says nothing else about it. Hex. */
export function passwordMark(key: Buffer): string {
  return createHmac("sha256", key).update("basalt mark 1\0").digest("hex").slice(0, 32);
}

/** Parts cannot run into each other: each has its length in front. */
function digestOf(parts: readonly Buffer[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    hash.update(length).update(part);
  }
  return hash.digest();
}
