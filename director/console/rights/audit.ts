/**
 * Who did what, from where, and whether it was allowed: a line for every command, in the director's log and as a
 * message of type `audit`. Passwords never get there.
 */

import type { Log } from "../../../common/log.js";
import type { ConsoleDirector } from "../port.js";

const MAX_LINE = 1000;
/** No more of a line is looked at. */
const MAX_LOOK = 4 * MAX_LINE;
/** A keyword and its value, quoted or not. */
const ASSIGNMENT = /(?<![\w-])([\w-]+)(\s*=\s*)("(?:[^"\\]|\\.)*"?|\S+)/g;
/** `password=…` and the like, whatever the word begins with. */
const SECRET = /passw(?:or)?d|passphrase|secret|token|key/i;

/** A line as it may be kept: without secrets and control characters, and not endless. */
export function auditText(line: string): string {
  // What is cut off ends with a whole word, so that no secret stands without its keyword.
  const text = line.length > MAX_LOOK ? line.slice(0, line.lastIndexOf(" ", MAX_LOOK) + 1) : line;
  const hide = (all: string, name: string, equals: string) =>
    SECRET.test(name) ? `${name}${equals}***` : all;
  const masked = text.replace(ASSIGNMENT, hide).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
  return masked.length > MAX_LINE || text.length < line.length ? `${masked.slice(0, MAX_LINE)}…` : masked;
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
