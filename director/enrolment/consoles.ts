/**
 * Consoles that prove a password: the Director's own, or that of a Console resource. Each gets a certificate that is good
 * for making one connection, so a password that is changed or taken away counts from then on.
 */

import type { Socket } from "node:net";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import { NAMED_CONSOLE_HOST, PROVED_CONSOLE_HOST } from "../../common/tls/identity.js";
import { issueForKey } from "../../common/tls/issue.js";
import { passwordKey } from "../../common/tls/password.js";
import { type AnsweredCall, PasswordDesk } from "../../proto/enrol/answer.js";
import type { FrontDoor, Peer, RpcTls } from "../../proto/rpc.js";
import { readCa } from "../admin/files.js";
import type { DirectorConfig } from "../config/types.js";
import { sharedKeys } from "./authority.js";
import { provedBefore } from "./proved.js";

/** As in Bacula: a console that is no Console resource's. No resource can have this name. */
export const DEFAULT_CONSOLE = "*UserAgent*";

/** For the connection that is made next. */
const LIFETIME_MS = 300_000;

export interface ConsoleDoorOptions {
  readonly config: () => DirectorConfig;
  readonly pki: string;
  readonly tls: RpcTls;
  readonly isRevoked: (fingerprint: string) => boolean;
  readonly log: Log;
}

interface Given {
  readonly name: string;
  readonly password: string | undefined;
  readonly endsMs: number;
}

export class ConsoleDoor implements FrontDoor {
  readonly #options: ConsoleDoorOptions;
  readonly #desk: PasswordDesk;
  readonly #keys = new Map<string, Promise<Buffer>>();
  /** Certificates that may still be used, by fingerprint. */
  readonly #given = new Map<string, Given>();

  constructor(options: ConsoleDoorOptions) {
    this.#options = options;
    this.#desk = new PasswordDesk({
      log: options.log,
      isRevoked: options.isRevoked,
      own: () => options.tls,
      hello: () => ({ role: "director", name: options.config().director.name }),
      keyFor: ({ role, name }) => (role === "console" ? this.#key(name) : Promise.resolve(undefined)),
      work: (call) => this.#certify(call),
    });
  }

  tls(): RpcTls {
    return this.#options.tls;
  }

  answer(socket: Socket): void {
    this.#desk.answer(socket);
  }

  /** Why a console with a good certificate may not come in any more; undefined: it may. */
  refusal({ name, fingerprint, proved }: Peer): BackupError | undefined {
    if (proved !== true) return undefined;
    const given = this.#given.get(fingerprint);
    // After a start nothing is known of the password that this certificate was given for.
    if (given === undefined) return provedBefore(name);
    if (given.password === this.#password(given.name)) return undefined;
    return new BackupError(
      "PERMISSION_DENIED",
      `the password of console "${name}" has changed: connect again`,
    );
  }

  #password(console: string): string | undefined {
    const { bacula, director } = this.#options.config();
    if (console === "") return bacula?.passwords.of("Director", director.name);
    return bacula?.passwords.of("Console", console);
  }

  #key(console: string): Promise<Buffer | undefined> {
    const password = this.#password(console);
    if (password === undefined) return Promise.resolve(undefined);
    const id = `${console}\0${password}`;
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (this.#keys.size > 1000) this.#keys.clear();
    const director = this.#options.config().director.name;
    const key = passwordKey(password, { role: "console", director, peer: console });
    this.#keys.set(id, key);
    return key;
  }

  async #certify({ pipe, hello }: AnsweredCall): Promise<void> {
    if (hello.key === undefined) throw new BackupError("ENROL_REFUSED", "no public key came");
    const { pki } = this.#options;
    const password = this.#password(hello.name);
    const isDefault = hello.name === "";
    const name = isDefault ? DEFAULT_CONSOLE : hello.name;
    const hosts = isDefault ? [PROVED_CONSOLE_HOST] : [PROVED_CONSOLE_HOST, NAMED_CONSOLE_HOST];
    const spki = Buffer.from(hello.key, "base64");
    const made = await issueForKey(spki, readCa(pki), { role: "console", name, hosts }, LIFETIME_MS);
    for (const [fingerprint, { endsMs }] of this.#given)
      if (endsMs < nowMs()) this.#given.delete(fingerprint);
    this.#given.set(made.fingerprint, { name: hello.name, password, endsMs: made.notAfterMs });
    pipe.send({ name, certificate: made.certPem, ca: sharedKeys(pki).ca });
  }
}
