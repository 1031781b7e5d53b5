/**
 * Who was met under a name, noted at the first contact: one YAML file each, so that an administrator can look at it and
 * forget one by removing it.
 */

import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { BackupError, describeError } from "../errors.js";
import { replaceFile, writeNew } from "../write-file.js";
import { fingerprintOf } from "./identity.js";

const HEX = z.string().regex(/^[0-9a-f]{64}$/);

const PIN = z.object({
  /** The name in the certificate. */
  Name: z.string(),
  /** SHA-256 of the certificate: the one it shows, or that of its CA. */
  Fingerprint: HEX,
  /** SHA-256 of its public key. */
  Key: HEX,
  /** `2026-11-21 03:23:28` */
  Since: z.string(),
  /** Tells whether the password is still the one that was proved. */
  Password: z.string(),
  /** End of the certificate, in the form of Since; "" where it does not matter. */
  Ends: z.string().default(""),
  /** Noted by a director: the name that the daemon has itself. Noted by a daemon: the name that the director calls it. */
  Alias: z.string(),
});

export type Pin = z.output<typeof PIN>;

/** Undefined when there is none. @throws BackupError TLS_INVALID for a file that cannot be used: it is never passed over */
export function readPin(file: string): Pin | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new BackupError("TLS_INVALID", `cannot read ${describeError(cause)}`);
  }
  try {
    return PIN.parse(parse(text, { schema: "failsafe", maxAliasCount: 0 }));
  } catch {
    throw new BackupError("TLS_INVALID", `${file} is garbled; remove it to meet that peer anew`);
  }
}

/** Replaces the file in one step; it is for its owner alone. */
export function writePin(file: string, pin: Pin): void {
  const text = `# Made at the first contact. Remove this file to meet the peer anew, when it was set up again.\n${stringify(pin)}`;
  if (!existsSync(file) && writeNew(file, text, 0o600)) return;
  replaceFile(file, text, 0o600);
}

/** SHA-256 of the public key of a certificate (DER or PEM), lower-case hex. */
export function keyOf(certificate: Buffer | string): string {
  return fingerprintOf(spkiOf(certificate));
}

/** The public key (SPKI, DER) of a certificate (DER or PEM). */
export function spkiOf(certificate: Buffer | string): Buffer {
  return new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
}
