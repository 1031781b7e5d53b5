/**
 * Who did what, from where, and whether it was allowed: a line for every command, in the director's log and as a
 * message of type `audit`. Passwords never get there.
 */

import type { Log } from "../../../common/log.js";
import type { ConsoleDirector } from "../port.js";

const MAX_LINE = 1000;
/** `password=…` and the like, quoted or not, whatever the word begins with. */
const SECRET = /([\w-]*(?:passw(?:or)?d|passphrase|secret|token|key)[\w-]*\s*=\s*)("(?:[^"\\]|\\.)*"?|\S+)/gi;

/** A line as it may be kept: without secrets and control characters, and not endless. */
export function auditText(line: string): string {
  const masked = line.replace(SECRET, "$1***").replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
  return masked.length > MAX_LINE ? `${masked.slice(0, MAX_LINE)}…` : masked;
}

export class Audit {
  readonly #peer: { name: string; address?: string };
  readonly #log: Log;
  readonly #messages: Pick<ConsoleDirector["messages"], "daemon">;

  constructor(
    peer: { name: string; address?: string },
    log: Log,
    messages: Pick<ConsoleDirector["messages"], "daemon">,
  ) {
    this.#peer = peer;
    this.#log = log;
    this.#messages = messages;
  }

  /** A command that begins; `denied`: why it was not allowed. */
  command(line: string, denied?: string): void {
    const { name, address = "unknown" } = this.#peer;
    const text = auditText(line);
    const outcome = denied === undefined ? "allowed" : `denied: ${auditText(denied)}`;
    this.#log.info("command", { console: name, from: address, line: text, outcome });
    this.#messages.daemon("audit", `Console "${name}" from ${address}: ${text}: ${outcome}`);
  }

  /** A caller that was not let in. */
  refused(role: string, why: string): void {
    const { name, address = "unknown" } = this.#peer;
    this.#log.warn("connection refused", { role, name, from: address, why });
    const who = `${role.charAt(0).toUpperCase()}${role.slice(1)} "${name}" from ${address}`;
    this.#messages.daemon("audit", `${who}: connection: denied: ${auditText(why)}`);
  }
}
