/** Destinations outside the database: files, standard output, the system's log. */

import { appendFileSync, closeSync, openSync } from "node:fs";
import { describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import type { Log } from "../../common/log.js";
import type { MessageType } from "./types.js";

/** syslog severities (RFC 5424). */
const PRIORITY: Partial<Record<MessageType, number>> = {
  fatal: 2,
  security: 1,
  alert: 1,
  error: 3,
  warning: 4,
};
const SYSLOG_TIMEOUT_MS = 10_000;
const MAX_SYSLOG_QUEUE = 1000;

export class Sinks {
  readonly #log: Log;
  readonly #name: string;
  /** Targets that could not be written; told once, until they can be written again. */
  readonly #broken = new Set<string>();
  #syslogQueue: { priority: number; text: string }[] = [];
  #syslogBusy = false;

  constructor(name: string, log: Log) {
    this.#name = name;
    this.#log = log;
  }

  /** Empties a `file` destination: it holds one job only. */
  truncate(path: string): void {
    this.#try(path, () => closeSync(openSync(path, "w", 0o640)));
  }

  /** Appends text to a file. */
  append(path: string, text: string): void {
    this.#try(path, () => appendFileSync(path, text, { mode: 0o640 }));
  }

  print(stream: "stdout" | "stderr", text: string): void {
    process[stream].write(text);
  }

  /** The system's log: through the journal when it reads our standard error, else by logger(1). */
  syslog(type: MessageType, text: string): void {
    const priority = PRIORITY[type] ?? 6;
    if (process.env.JOURNAL_STREAM !== undefined) {
      process.stderr.write(text.replace(/^(?=.)/gm, `<${priority}>`).concat("\n"));
      return;
    }
    if (this.#syslogQueue.length < MAX_SYSLOG_QUEUE) this.#syslogQueue.push({ priority, text });
    if (!this.#syslogBusy) void this.#drainSyslog();
  }

  async #drainSyslog(): Promise<void> {
    this.#syslogBusy = true;
    while (this.#syslogQueue.length > 0) {
      const { priority, text } = this.#syslogQueue.shift()!;
      const words = ["logger", "-t", this.#name, "-p", `daemon.${SEVERITY_NAMES[priority]}`, "--", text];
      try {
        const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" };
        const result = await runCommand({ words, env, timeoutMs: SYSLOG_TIMEOUT_MS });
        const failure = describeFailure(result, SYSLOG_TIMEOUT_MS);
        if (failure !== undefined) throw new Error(`logger: ${failure}`);
        this.#broken.delete("syslog");
      } catch (error) {
        this.#complain("syslog", error);
      }
    }
    this.#syslogBusy = false;
  }

  #try(path: string, write: () => void): void {
    try {
      write();
      this.#broken.delete(path);
    } catch (error) {
      this.#complain(path, error);
    }
  }

  #complain(target: string, error: unknown): void {
    if (this.#broken.has(target)) return;
    this.#broken.add(target);
    this.#log.error(`messages cannot be written to ${target}: ${describeError(error)}`);
  }
}

const SEVERITY_NAMES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] as const;
