/**
 * Certificates of a file or storage daemon that knows its director by a password. The daemon makes its key itself; at the
 * first contact the director proves the password and certifies that key, and from then on everything runs over the same
 * mutual TLS as ever. Another director, or the same one with another CA, is refused until an administrator removes the
 * note about the first.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import path from "node:path";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { baculaTime, nowMs } from "../../common/time.js";
import { fingerprintOf, identityOfCertificate, isDirectorOf } from "../../common/tls/identity.js";
import { hasExpired, loadTls, readPrivateKey, type TlsMaterial } from "../../common/tls/load.js";
import { passwordKeySync, passwordMark } from "../../common/tls/password.js";
import { keyOf, type Pin, readPin, writePin } from "../../common/tls/pins.js";
import { makeDirectory, replaceFile, writeNew } from "../../common/write-file.js";
import type { FrontDoor, Peer } from "../rpc.js";
import { type AnsweredCall, PasswordDesk } from "./answer.js";
import { ISSUE, type Issue } from "./wire.js";

export interface DaemonEnrolmentOptions {
  readonly role: "filed" | "storaged";
  /** The daemon's own name, in its configuration. */
  readonly name: string;
  /** Directory of keys and certificates; made when it is missing. */
  readonly pki: string;
  /** Password of a director, as written in the configuration in force. */
  readonly passwordOf: (director: string) => string | undefined;
  /** True for a certificate that was withdrawn (SHA-256, hex). */
  readonly isRevoked: (fingerprint: string) => boolean;
  readonly log: Log;
}

export class DaemonEnrolment implements FrontDoor {
  readonly #options: DaemonEnrolmentOptions;
  readonly #desk: PasswordDesk;
  readonly #own: { readonly cert: Buffer; readonly key: Buffer };
  readonly #keys = new Map<string, Buffer>();
  #tls: TlsMaterial | undefined;
  #pin: Pin | undefined;

  private constructor(options: DaemonEnrolmentOptions, own: { cert: Buffer; key: Buffer }) {
    this.#options = options;
    this.#own = own;
    this.#load();
    this.#desk = new PasswordDesk({
      log: options.log,
      isRevoked: options.isRevoked,
      own: () => this.#tls ?? this.#own,
      hello: () => ({ role: options.role, name: options.name }),
      keyFor: async ({ role, name }) => (role === "director" ? this.#key(name) : undefined),
      work: (call) => this.#meet(call),
    });
  }

  /** Makes the daemon's key at the first start. @throws BackupError TLS_INVALID, system errors */
  static async open(options: DaemonEnrolmentOptions): Promise<DaemonEnrolment> {
    const { pki, role, name } = options;
    const keyFile = path.join(pki, `${role}.key`);
    const selfFile = path.join(pki, "self.crt");
    makeDirectory(pki);
    if (!existsSync(keyFile) || !existsSync(selfFile)) {
      const { issueSelfSigned } = await import("../../common/tls/issue.js");
      const made = await issueSelfSigned({ role, name });
      for (const [file, text] of [
        [selfFile, made.certPem],
        [keyFile, made.keyPem],
      ] as const) {
        if (!writeNew(file, text, 0o600)) replaceFile(file, text, 0o600);
      }
    }
    return new DaemonEnrolment(options, { cert: readFileSync(selfFile), key: readPrivateKey(keyFile) });
  }

  /** Certificates under the director's CA; undefined before the first contact. */
  tls(): TlsMaterial | undefined {
    return this.#tls;
  }

  /** The same where nothing can be done without. @throws BackupError NOT_ENROLLED */
  need(): TlsMaterial {
    if (this.#tls !== undefined) return this.#tls;
    throw new BackupError("NOT_ENROLLED", "no director has been in contact yet", { retry: "later" });
  }

  /** The public key (PEM) of the director's tickets. @throws BackupError NOT_ENROLLED */
  ticketKey(): Buffer {
    this.need();
    return readFileSync(this.#file("ticket.pub"));
  }

  /** The name by which the director calls this daemon; its own before the first contact. */
  get name(): string {
    return this.#pin?.Alias ?? this.#options.name;
  }

  /** Looks at a director with a good certificate. @throws BackupError PASSWORD_PROOF_NEEDED: the password has changed */
  admit(peer: Peer): void {
    if (peer.role !== "director") return;
    const key = this.#key(peer.name);
    if (this.#pin?.Name === peer.name && key !== undefined && this.#pin.Password === passwordMark(key))
      return;
    const text = `the password of director "${peer.name}" has changed here: it has to be proved again`;
    throw new BackupError("PASSWORD_PROOF_NEEDED", text);
  }

  answer(socket: Socket): void {
    this.#desk.answer(socket);
  }

  #file(name: string): string {
    return path.join(this.#options.pki, name);
  }

  #load(): void {
    const { role, log } = this.#options;
    this.#pin = readPin(this.#file("director.yaml"));
    if (this.#pin === undefined) return;
    if (hasExpired(this.#file(`${role}.crt`))) {
      // The director that is known gives another one for the same key, as soon as it calls.
      log.warn(`the certificate of this ${role} has expired: waiting for director "${this.#pin.Name}"`);
      return;
    }
    const files = { caFile: "ca.crt", certFile: `${role}.crt`, keyFile: `${role}.key` };
    this.#tls = loadTls({
      caFile: this.#file(files.caFile),
      certFile: this.#file(files.certFile),
      keyFile: this.#file(files.keyFile),
    });
  }

  /** Slow the first time for a password. */
  #key(director: string): Buffer | undefined {
    const { passwordOf, role, name } = this.#options;
    const password = passwordOf(director);
    if (password === undefined) return undefined;
    const cached = `${director}\0${password}`;
    const known = this.#keys.get(cached);
    if (known !== undefined) return known;
    if (this.#keys.size > 16) this.#keys.clear();
    const key = passwordKeySync(password, { role, director, peer: name });
    this.#keys.set(cached, key);
    return key;
  }

  async #meet({ pipe, hello, certificate, from }: AnsweredCall): Promise<void> {
    const director = hello.name;
    this.#checkKnown(director, certificate);
    const { message: issue } = await pipe.receive(ISSUE);
    this.#take(director, certificate, issue);
    pipe.send({ done: true });
    this.#options.log.info(`director "${director}" has proved the password`, { from });
  }

  /** @throws BackupError TLS_PIN_CHANGED, PERMISSION_DENIED */
  #checkKnown(director: string, certificate: Buffer): void {
    const pin = this.#pin;
    if (pin === undefined) return;
    const file = this.#file("director.yaml");
    const { role } = this.#options;
    const again = `If it is to be another one, stop the daemon, remove ${file}, and start it again`;
    if (pin.Name !== director) {
      const text = `this ${role} belongs to director "${pin.Name}" since ${pin.Since} and serves one director. ${again}`;
      throw new BackupError("PERMISSION_DENIED", text);
    }
    if (isDirectorOf(readFileSync(this.#file("ca.crt")), certificate, director)) return;
    const text = `director "${director}" shows a certificate of another CA than at the first contact (${pin.Since}). ${again}`;
    throw new BackupError("TLS_PIN_CHANGED", text);
  }

  /** @throws BackupError ENROL_REFUSED for certificates that do not fit each other */
  #take(director: string, certificate: Buffer, issue: Issue): void {
    const { role, log } = this.#options;
    const known = this.#pin;
    const ca = known === undefined ? Buffer.from(issue.ca) : readFileSync(this.#file("ca.crt"));
    const given = issue.certificate ?? this.#tls?.cert;
    if (given === undefined) throw refused("no certificate came");
    this.#checkIssued(given, issue.name, ca);
    if (!isDirectorOf(ca, certificate, director))
      throw refused(`the CA does not vouch for director "${director}"`);
    if (issue.certificate !== undefined) {
      this.#put("ca.crt", ca.toString());
      this.#put("ticket.pub", checkedTicketKey(issue.ticketKey));
      this.#put(`${role}.crt`, issue.certificate);
    }
    const pin: Pin = {
      Name: director,
      Fingerprint: fingerprintOf(new X509Certificate(ca).raw),
      Key: keyOf(ca),
      Since: known?.Since ?? baculaTime(nowMs()),
      Password: passwordMark(this.#key(director) ?? Buffer.alloc(0)),
      Ends: "",
      Alias: issue.name,
    };
    writePin(this.#file("director.yaml"), pin);
    this.#load();
    if (known === undefined) log.info(`met director "${director}": CA SHA-256 ${pin.Fingerprint}`);
  }

  #checkIssued(certificate: Buffer | string, name: string, ca: Buffer): void {
    const { role } = this.#options;
    let fits = false;
    try {
      const given = new X509Certificate(certificate);
      const identity = identityOfCertificate(given.raw);
      const vouched = given.verify(new X509Certificate(ca).publicKey);
      fits = vouched && keyOf(given.raw) === keyOf(this.#own.cert);
      fits &&= identity.role === role && identity.name === name;
    } catch {
      fits = false;
    }
    if (!fits) throw refused("the certificate that came is not for this daemon and its key");
  }

  #put(name: string, text: string): void {
    const file = this.#file(name);
    if (!existsSync(file) && writeNew(file, text, 0o600)) return;
    replaceFile(file, text, 0o600);
  }
}

function refused(text: string): BackupError {
  return new BackupError("ENROL_REFUSED", text);
}

function checkedTicketKey(pem: string | undefined): string {
  try {
    if (pem !== undefined && createPublicKey(pem).asymmetricKeyType === "ed25519") return pem;
  } catch {
    // Said below.
  }
  throw refused("no usable key of tickets came");
}
