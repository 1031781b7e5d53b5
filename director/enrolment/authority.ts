/** The CA of an installation that is configured in Bacula's own language: made by the director at its first start. */

import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { nowMs } from "../../common/time.js";
import { keyFits } from "../../common/tls/issue.js";
import { certificatesIn, issueAndRecord, makeDirectory, replaceFile, writeNew } from "../admin/files.js";
import { makeAuthority } from "../admin/import/write.js";

const DAY_MS = 86_400_000;
/** Certificates that end sooner are made anew. */
export const RENEW_MS = 60 * DAY_MS;

/**
 * Makes the directory of keys whole or not at all, and the director's own certificate when there is none for its name, or
 * one that ends soon. @throws BackupError TLS_INVALID, system errors
 */
export async function ensureAuthority(pki: string, name: string): Promise<void> {
  if (!existsSync(pki)) {
    const fresh = `${pki}.new`;
    rmSync(fresh, { recursive: true, force: true });
    makeDirectory(fresh);
    makeDirectory(path.join(fresh, "issued"));
    makeDirectory(path.join(fresh, "pins"));
    await makeAuthority(fresh, name);
    renameSync(fresh, pki);
  }
  const file = path.join(pki, "director.crt");
  const known = certificatesIn(pki).find((each) => each.file === file);
  const keyFile = path.join(pki, "director.key");
  // They are written one after the other.
  const isWhole = known !== undefined && existsSync(keyFile) && isPair(keyFile, file);
  const fits = isWhole && known.identity.role === "director" && known.identity.name === name;
  if (fits && Date.parse(known.certificate.validTo) > nowMs() + RENEW_MS) return;
  const made = await issueAndRecord(pki, { role: "director", name, hosts: [] });
  put(keyFile, made.keyPem, 0o600);
  put(file, made.certPem, 0o644);
}

/** The CA's certificate and the public key of tickets (PEM), as daemons and consoles get them. */
export function sharedKeys(pki: string): { ca: string; ticketKey: string } {
  const read = (name: string): string => readFileSync(path.join(pki, name), "utf8");
  return { ca: read("ca.crt"), ticketKey: read("ticket.pub") };
}

function isPair(keyFile: string, certFile: string): boolean {
  try {
    return keyFits(readFileSync(keyFile), readFileSync(certFile));
  } catch {
    return false;
  }
}

function put(file: string, text: string, mode: number): void {
  if (!existsSync(file) && writeNew(file, text, mode)) return;
  replaceFile(file, text, mode);
}
