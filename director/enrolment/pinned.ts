/**
 * Daemons that a director knows by a password: at the first contact both prove it, the director certifies the daemon's key
 * and notes the certificate under the resource's name. From then on only that certificate is accepted there.
 */

import { X509Certificate } from "node:crypto";
import { readdirSync } from "node:fs";
import path from "node:path";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { SharedWork } from "../../common/shared-work.js";
import { baculaTime, nowMs } from "../../common/time.js";
import { fingerprintOf, identityOfCertificate } from "../../common/tls/identity.js";
import { issueForKey } from "../../common/tls/issue.js";
import { passwordKey, passwordMark } from "../../common/tls/password.js";
import { keyOf, type Pin, readPin, spkiOf, writePin } from "../../common/tls/pins.js";
import { callByPassword, type Proved } from "../../proto/enrol/call.js";
import { DONE } from "../../proto/enrol/wire.js";
import type { RpcTls } from "../../proto/rpc.js";
import { issuedIn, makeDirectory, readCa, recordIssued } from "../admin/files.js";
import type { DirectorConfig } from "../config/types.js";
import { RENEW_MS, sharedKeys } from "./authority.js";

/** A daemon as a resource describes it. */
export interface PinTarget {
  readonly role: "filed" | "storaged";
  /** Name of the Client or Storage resource. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** For messages: `Client: web1-fd on 10.0.0.5:9102` */
  readonly label: string;
}

export interface PinnedDaemonsOptions {
  readonly config: () => DirectorConfig;
  /** Directory of the CA. */
  readonly pki: string;
  /** The director's own certificate. */
  readonly tls: RpcTls;
  readonly isRevoked: (fingerprint: string) => boolean;
  readonly log: Log;
}

export class PinnedDaemons {
  readonly #options: PinnedDaemonsOptions;
  readonly #meetings = new SharedWork<string>();
  /** Keys of passwords, by resource and password. */
  readonly #keys = new Map<string, Promise<Buffer>>();

  constructor(options: PinnedDaemonsOptions) {
    this.#options = options;
    makeDirectory(path.join(options.pki, "pins"));
  }

  /**
   * The fingerprint that the daemon must show; met first when it is new, its password has changed, or its certificate ends
   * soon. `again`: prove the password in any case, and look at what it shows.
   * @throws BackupError PEER_UNAVAILABLE, PASSWORD_WRONG, TLS_PIN_CHANGED, ENROL_ codes
   */
  async fingerprint(target: PinTarget, again = false, signal?: AbortSignal): Promise<string> {
    const pin = readPin(this.#file(target));
    if (pin !== undefined && !again && (await this.#isGood(target, pin))) return pin.Fingerprint;
    const id = `${target.role} ${target.name}`;
    return this.#meetings.join(id, (until) => this.#meet(target, pin, until), signal);
  }

  async #meet(target: PinTarget, pin: Pin | undefined, signal: AbortSignal): Promise<string> {
    const { tls, config, log } = this.#options;
    let key: Buffer | undefined;
    const keyFor = async (own: string): Promise<Buffer> => {
      key = await this.#key(target, own);
      return key;
    };
    const hello = { role: "director", name: config().director.name, calls: target.role } as const;
    const { address, port, label } = target;
    const options = {
      address,
      port,
      own: { cert: tls.cert, key: tls.key },
      hello,
      label,
      signal,
      accept: (shown: Buffer) => this.#checkPin(target, pin, shown),
      keyFor: (daemon: { name: string }) => keyFor(daemon.name),
    };
    return callByPassword(options, async (proved) => {
      const name = target.role === "filed" ? target.name : proved.hello.name;
      this.#checkFree(target, name, keyOf(proved.certificate));
      const given = await this.#certify(target, name, proved);
      const issued = new X509Certificate(given);
      const fresh: Pin = {
        Name: name,
        Fingerprint: fingerprintOf(issued.raw),
        Key: keyOf(issued.raw),
        Since: pin?.Since ?? baculaTime(nowMs()),
        Ends: baculaTime(Date.parse(issued.validTo)),
        Password: passwordMark(key ?? Buffer.alloc(0)),
        Alias: proved.hello.name,
      };
      writePin(this.#file(target), fresh);
      if (pin === undefined) log.info(`met ${label}: ${target.role} "${name}", SHA-256 ${fresh.Fingerprint}`);
      return fresh.Fingerprint;
    });
  }

  /** Sends the daemon what it needs; its certificate, which may be the one that it has (DER or PEM). */
  async #certify(target: PinTarget, name: string, { pipe, certificate }: Proved): Promise<Buffer | string> {
    const { pki } = this.#options;
    const shared = sharedKeys(pki);
    if (this.#isOurs(certificate, target.role, name)) {
      pipe.send({ name, ca: shared.ca });
      await pipe.receive(DONE);
      return certificate;
    }
    const made = await issueForKey(spkiOf(certificate), readCa(pki), { role: target.role, name });
    recordIssued(pki, made);
    pipe.send({ name, certificate: made.certPem, ...shared });
    await pipe.receive(DONE);
    return made.certPem;
  }

  /** A certificate of this CA for that name which lasts a while. */
  #isOurs(certificate: Buffer, role: string, name: string): boolean {
    try {
      const given = new X509Certificate(certificate);
      const identity = identityOfCertificate(certificate);
      const { pki, isRevoked } = this.#options;
      return (
        given.verify(new X509Certificate(sharedKeys(pki).ca).publicKey) &&
        identity.role === role &&
        identity.name === name &&
        !isRevoked(identity.fingerprint256) &&
        Date.parse(given.validTo) > nowMs() + RENEW_MS
      );
    } catch {
      return false;
    }
  }

  /** @throws BackupError TLS_PIN_CHANGED, CERTIFICATE_REVOKED before anything is proved to the other side */
  #checkPin(target: PinTarget, pin: Pin | undefined, shown: Buffer): void {
    const { isRevoked } = this.#options;
    if (
      isRevoked(fingerprintOf(shown)) ||
      isRevoked(pin?.Fingerprint ?? "") ||
      this.#isRevokedKey(keyOf(shown))
    ) {
      const text = `the certificate of ${target.label} was revoked. To admit it again, take it out of the list and remove`;
      throw new BackupError("CERTIFICATE_REVOKED", `${text} ${this.#file(target)}`);
    }
    // Who it is is told by its key: several resources may stand for one daemon and have it certified in turn.
    if (pin === undefined || keyOf(shown) === pin.Key) return;
    const text =
      `${target.label} shows another certificate than at the first contact (${pin.Since}): it may be somebody else. ` +
      `If it was set up again, remove ${this.#file(target)}`;
    throw new BackupError("TLS_PIN_CHANGED", text);
  }

  /** A daemon that comes with its own certificate again, the note about it being gone, is known by its key. */
  #isRevokedKey(key: string): boolean {
    const { pki, isRevoked } = this.#options;
    return issuedIn(pki, isRevoked).some((certificate) => keyOf(certificate) === key);
  }

  /** A name belongs to one key, and a file daemon has one name. @throws BackupError TLS_IDENTITY */
  #checkFree(target: PinTarget, name: string, key: string): void {
    for (const { file, pin } of this.#pins(target.role)) {
      if (file === this.#file(target)) continue;
      if (pin.Name === name && pin.Key !== key) {
        const text = `${target.label} is called "${name}", and so is another one (${file}): names must differ`;
        throw new BackupError("TLS_IDENTITY", text);
      }
      const isUsed = this.#options.config().clients.has(pin.Name);
      if (target.role === "filed" && pin.Key === key && pin.Name !== name && isUsed) {
        const text = `${target.label} is Client "${pin.Name}" already: a file daemon has one Client resource here`;
        throw new BackupError("TLS_IDENTITY", text);
      }
    }
  }

  #pins(role: string): { file: string; pin: Pin }[] {
    const directory = path.join(this.#options.pki, "pins");
    const names = readdirSync(directory).filter(
      (each) => each.startsWith(`${role}-`) && each.endsWith(".yaml"),
    );
    return names.flatMap((each) => {
      const file = path.join(directory, each);
      const pin = readPin(file);
      return pin === undefined ? [] : [{ file, pin }];
    });
  }

  #file({ role, name }: PinTarget): string {
    return path.join(this.#options.pki, "pins", `${role}-${name}.yaml`);
  }

  async #isGood(target: PinTarget, pin: Pin): Promise<boolean> {
    if (Date.parse(pin.Ends.replace(" ", "T")) < nowMs() + RENEW_MS) return false;
    return pin.Password === passwordMark(await this.#key(target, pin.Alias));
  }

  /** `own`: the name that the daemon has itself. */
  #key(target: PinTarget, own: string): Promise<Buffer> {
    const { config } = this.#options;
    const kind = target.role === "filed" ? "Client" : "Storage";
    const password = config().bacula?.passwords.of(kind, target.name);
    if (password === undefined) {
      throw new BackupError("PASSWORD_WRONG", `${target.label}: its resource has no Password`);
    }
    const id = [target.role, target.name, own, password].join("\0");
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (this.#keys.size > 5000) this.#keys.clear();
    const sharers = { role: target.role, director: config().director.name, peer: own };
    const key = passwordKey(password, sharers);
    this.#keys.set(id, key);
    return key;
  }
}
