/**
 * Consoles that prove a password: the Director's own, or that of a Console resource. Each gets a certificate that is good
 * for making one connection, so a password that is changed or taken away counts from then on.
 */

import type { Socket } from "node:net";
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { nowMs } from "../../common/time.js";
import { NAMED_CONSOLE_HOST } from "../../common/tls/identity.js";
import { issueForKey } from "../../common/tls/issue.js";
import { passwordKey } from "../../common/tls/password.js";
import { type AnsweredCall, PasswordDesk } from "../../proto/enrol/answer.js";
import type { FrontDoor, Peer, RpcTls } from "../../proto/rpc.js";
import { readCa } from "../admin/files.js";
import type { DirectorConfig } from "../config/types.js";
import { sharedKeys } from "./authority.js";

/** As in Bacula: a console that is no Console resource's. No resource can have this name. */
export const DEFAULT_CONSOLE = "*UserAgent*";

const LIFETIME_MS = 3_600_000;

export interface ConsoleDoorOptions {
  readonly config: () => DirectorConfig;
  readonly pki: string;
  readonly tls: RpcTls;
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

  /** True for a certificate that was given for one connection and is not to be renewed. */
  hasGiven({ fingerprint }: Peer): boolean {
    return this.#given.has(fingerprint);
  }

  /** Why a console with a good certificate may not come in any more; undefined: it may. */
  refusal({ name, fingerprint }: Peer): BackupError | undefined {
    const given = this.#given.get(fingerprint);
    if (given === undefined || given.password === this.#password(given.name)) return undefined;
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
    const isDefault = hello.name === "";
    const name = isDefault ? DEFAULT_CONSOLE : hello.name;
    const hosts = isDefault ? [] : [NAMED_CONSOLE_HOST];
    const spki = Buffer.from(hello.key, "base64");
    const made = await issueForKey(spki, readCa(pki), { role: "console", name, hosts }, LIFETIME_MS);
    const password = this.#password(hello.name);
    for (const [fingerprint, { endsMs }] of this.#given)
      if (endsMs < nowMs()) this.#given.delete(fingerprint);
    this.#given.set(made.fingerprint, { name: hello.name, password, endsMs: made.notAfterMs });
    pipe.send({ name, certificate: made.certPem, ca: sharedKeys(pki).ca });
  }
}
