/**
 * Directors that were met by password: the CA of each, by name and address, so that the password is proved to nobody else
 * later on. One file each, which somebody can look at and remove.
 */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { BackupError, describeError } from "../common/errors.js";
import { isDirectorOf } from "../common/tls/identity.js";
import { makeDirectory, writeNew } from "../common/write-file.js";
import type { ConsoleDirector } from "./config.js";

/** Where the notes lie: BASALT_DIRECTORS, else a directory in the home. */
export function notesDirectory(): string {
  return process.env.BASALT_DIRECTORS ?? join(homedir(), ".basalt_directors");
}

export class DirectorNote {
  readonly #file: string;
  readonly #label: string;

  constructor(directory: string, { name, address, port }: ConsoleDirector) {
    this.#file = join(directory, `${encodeURIComponent(`${name}@${address}:${port}`).slice(0, 240)}.crt`);
    this.#label = `Director: ${name} on ${address}:${port}`;
  }

  /** The CA (PEM); undefined before the first contact. @throws BackupError TLS_INVALID for a file that cannot be used */
  ca(): Buffer | undefined {
    let pem: Buffer;
    try {
      pem = readFileSync(this.#file);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new BackupError("TLS_INVALID", `cannot read ${describeError(cause)}`);
    }
    try {
      new X509Certificate(pem);
      return pem;
    } catch {
      throw new BackupError("TLS_INVALID", `${this.#file} is garbled; remove it to meet the director anew`);
    }
  }

  /** Looks at the certificate (DER) that is shown. @throws BackupError TLS_PIN_CHANGED, TLS_INVALID */
  check(certificate: Buffer): void {
    const ca = this.ca();
    if (ca === undefined || isDirectorOf(ca, certificate)) return;
    const text =
      `${this.#label} shows a certificate of another CA than at the first contact: it may be somebody else. ` +
      `If the director was set up again, remove ${this.#file}`;
    throw new BackupError("TLS_PIN_CHANGED", text);
  }

  /** Notes the CA (PEM) of a director that has proved the password. */
  keep(ca: string): void {
    try {
      makeDirectory(dirname(this.#file));
      writeNew(this.#file, `CA of ${this.#label}\nRemove this file to meet it anew.\n${ca}`, 0o600);
    } catch (cause) {
      const text = `the director could not be noted: ${describeError(cause)}; BASALT_DIRECTORS names another place`;
      process.stderr.write(`warning: ${text}\n`);
    }
  }
}
