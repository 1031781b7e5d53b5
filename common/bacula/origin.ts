/** What a configuration in Bacula's own syntax brings along that one in YAML does not have. */

/** Resources with a Password. */
export type PasswordKind = "Director" | "Client" | "Storage" | "Console";

/** Passwords by resource. They are not among the fields, so that no log or report can hold them. */
export class Passwords {
  readonly #texts: ReadonlyMap<string, string>;

  constructor(entries: Iterable<readonly [kind: PasswordKind, name: string, password: string]>) {
    this.#texts = new Map([...entries].map(([kind, name, text]) => [`${kind} ${name}`, text]));
  }

  /** As written; undefined when there is no such resource, or no password in it. */
  of(kind: PasswordKind, name: string): string | undefined {
    return this.#texts.get(`${kind} ${name}`);
  }
}

export interface BaculaOrigin {
  readonly passwords: Passwords;
  /** The first name of the daemon's own resource: Director, FileDaemon, Storage; of a console its Console. */
  readonly name: string;
  /** Where the daemon keeps what is its own, its keys in `pki` of it; "" for a console. */
  readonly stateDirectory: string;
  /** Directory of PID files. */
  readonly pidDirectory: string | undefined;
}
