/** Names of resources: those that Basalt does not take get another one, the same wherever they are used. */

import { foldName } from "../../config/diagnostics.js";
import type { BaculaResource } from "../syntax.js";
import { givenText } from "../values.js";

/** Names are unique within these. */
export type NameKind =
  | "Client"
  | "Job"
  | "JobDefs"
  | "FileSet"
  | "Pool"
  | "Storage"
  | "Schedule"
  | "Messages"
  | "Console"
  | "Director"
  | "Device";

const KINDS: Readonly<Record<string, NameKind>> = {
  client: "Client",
  filedaemon: "Client",
  job: "Job",
  jobdefs: "JobDefs",
  fileset: "FileSet",
  pool: "Pool",
  storage: "Storage",
  autochanger: "Storage",
  schedule: "Schedule",
  messages: "Messages",
  console: "Console",
  user: "Console",
  director: "Director",
  device: "Device",
};

const VALID = /^[A-Za-z0-9][A-Za-z0-9 :._$@+-]*$/;
const MAX_LENGTH = 127;

/** True for a name that is taken as it is. */
export function isValidName(text: string): boolean {
  return VALID.test(text) && text.length <= MAX_LENGTH && text.trim() === text;
}

export class Names {
  readonly #chosen = new Map<string, string>();
  readonly #used = new Set<string>();
  /** The number to try next, by the name that it is put behind. */
  readonly #next = new Map<string, number>();

  /** `resources`: of all daemons; valid names among them are never given to another one. */
  constructor(resources: readonly BaculaResource[]) {
    for (const { kind, directives } of resources) {
      const known = Object.hasOwn(KINDS, foldName(kind)) ? KINDS[foldName(kind)] : undefined;
      const name = givenText(directives, "Name");
      if (known !== undefined && name !== undefined && isValidName(name)) this.#used.add(`${known}\0${name}`);
    }
  }

  /** The name under which `text` is known here. */
  of(kind: NameKind, text: string): string {
    if (isValidName(text)) return text;
    const key = `${kind}\0${text}`;
    const known = this.#chosen.get(key);
    if (known !== undefined) return known;
    const plain = withoutOddLetters(text);
    let name = plain;
    let number = this.#next.get(`${kind}\0${plain}`) ?? 2;
    while (this.#used.has(`${kind}\0${name}`)) name = `${plain}-${number++}`;
    this.#next.set(`${kind}\0${plain}`, number);
    this.#used.add(`${kind}\0${name}`);
    this.#chosen.set(key, name);
    return name;
  }
}

/** `Büro/1` as `Buro_1`. */
function withoutOddLetters(text: string): string {
  const bare = text.normalize("NFKD").replace(/\p{M}/gu, "");
  const clean = bare
    .trim()
    .replace(/[^A-Za-z0-9 :._$@+-]/g, "_")
    .slice(0, 100)
    .trim();
  return /^[A-Za-z0-9]/.test(clean) ? clean : `x${clean}`;
}
