/** What the three daemons have in common as processes: configuration at start, signals, certificates, end. */
import { createPublicKey } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import type { Diagnostic } from "./config/diagnostics.js";
import { formatDiagnostic } from "./config/diagnostics.js";
import { BackupError, describeError, EXIT, exitCodeOf } from "./errors.js";
import { createLog, type Log } from "./log.js";
import { baculaTime, nowMs } from "./time.js";
import { expiryWarning, type TlsMaterial } from "./tls/load.js";
import { addRevoked, openRevocations, readRevoked } from "./tls/revoked.js";

export interface DaemonOptions {
  configFile: string;
  /** Only checks the configuration. */
  test?: boolean;
  /** (Default: stderr) */
  log?: Log;
  /** Ends the daemon as SIGTERM does; for programs that start one inside themselves. */
  signal?: AbortSignal;
}

/** Undoes one step of the start; called in reverse order. */
export type Closer = () => void | Promise<void>;

const DAY_MS = 86_400_000;

/**
 * Loads the configuration, runs `body`, then the closers it left, also those of a start that failed half-way.
 * Resolves to the exit status; whatever keeps a daemon from starting is one clear line.
 */
export async function runDaemon<Config extends { readonly warnings: readonly Diagnostic[] }>(
  scope: string,
  options: DaemonOptions,
  load: (file: string) => Config,
  body: (config: Config, log: Log, closers: Closer[]) => Promise<void>,
): Promise<number> {
  const log = options.log ?? createLog(scope);
  let config: Config;
  try {
    config = load(options.configFile);
  } catch (error) {
    process.stderr.write(`${error instanceof BackupError ? error.message : describeError(error)}\n`);
    return exitCodeOf(error);
  }
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
  if (options.test === true) return EXIT.ok;
  const closers: Closer[] = [];
  try {
    await body(config, log, closers);
    return EXIT.ok;
  } catch (error) {
    log.fatal(describeError(error));
    return exitCodeOf(error);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Resolves on SIGTERM, SIGINT or the signal; SIGHUP calls `reload` meanwhile. `what` names the daemon in the log. */
export function untilTold(
  what: string,
  { log, signal, reload }: { log: Log; signal: AbortSignal | undefined; reload: () => void },
): Promise<void> {
  return new Promise((resolve) => {
    const stray = (error: unknown): void => log.error("unexpected failure", { err: error });
    const end = (): void => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, end);
      process.off("SIGHUP", reload);
      process.off("unhandledRejection", stray);
      log.info(`${what} ends`);
      resolve();
    };
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, end);
    process.on("SIGHUP", reload);
    // A defect in one job must not end all the others.
    process.on("unhandledRejection", stray);
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
}

/**
 * One reload of a daemon whose parts ask a live object for the configuration: `load` gives the new one and throws when
 * anything about it is wrong, then the old stays. What is in `fixed` keeps its value until the next start.
 */
export function reloadLive<Config extends { readonly warnings: readonly Diagnostic[] }>(
  log: Log,
  fixed: Partial<Config>,
  load: () => Config,
  take: (config: Config) => void,
): void {
  try {
    const config = load();
    for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
    for (const [key, value] of Object.entries(fixed)) {
      if (JSON.stringify(config[key as keyof Config]) === JSON.stringify(value)) continue;
      log.warn(`${key} changed in the configuration: it takes effect at the next start`);
    }
    take({ ...config, ...fixed });
    log.info("configuration reloaded");
  } catch (error) {
    const text = error instanceof BackupError ? error.message : describeError(error);
    for (const line of text.split("\n")) log.error(line);
    log.error("the old configuration stays in force");
  }
}

/** @throws BackupError WORKING_DIRECTORY */
export function makeWorkingDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
  } catch (cause) {
    const text = `cannot use the working directory ${directory}: ${describeError(cause)}`;
    throw new BackupError("WORKING_DIRECTORY", text, { cause });
  }
}

/** The director's public key (PEM), with which job tickets are checked. @throws BackupError TICKET_KEY_INVALID */
export function readTicketPublicKey(file: string): Buffer {
  try {
    const key = readFileSync(file);
    if (createPublicKey(key).asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key");
    return key;
  } catch (cause) {
    const text = `cannot use the director's ticket key ${file}: ${describeError(cause)}`;
    throw new BackupError("TICKET_KEY_INVALID", text);
  }
}

/** Warns of the own certificate's end, now and every day; the result ends it. */
export function watchCertificate(tls: TlsMaterial, log: Log): Closer {
  const look = (): void => {
    const warning = expiryWarning(tls.certificate);
    if (warning !== undefined) log.warn(warning);
  };
  look();
  const timer = setInterval(look, DAY_MS);
  return () => clearInterval(timer);
}

/** Withdrawn certificates as a daemon knows them: its own list, and what the director has named since. */
export interface KnownRevocations {
  isRevoked: (fingerprint: string) => boolean;
  /** Fingerprints that the director named; they count at once, and after a restart. */
  learn: (fingerprints: readonly string[]) => void;
}

/** @throws BackupError when the list cannot be read. */
export function knownRevocations(file: string, log: Log): KnownRevocations {
  readRevoked(file);
  const list = openRevocations(file, (error) => log.error(describeError(error)));
  const told = new Set<string>();
  return {
    isRevoked: (fingerprint) => told.has(fingerprint) || list.isRevoked(fingerprint),
    learn(fingerprints) {
      const named = fingerprints.map((text) => text.toLowerCase());
      const fresh = named.filter((text) => /^[0-9a-f]{64}$/.test(text) && !told.has(text));
      if (fresh.length === 0) return;
      for (const fingerprint of fresh) told.add(fingerprint);
      try {
        const at = baculaTime(nowMs());
        addRevoked(
          file,
          fresh.map((fingerprint) => ({ fingerprint, name: "", at, reason: "named by the director" })),
        );
      } catch (error) {
        log.warn(`withdrawn certificates could not be noted in ${file}: ${describeError(error)}`);
      }
    },
  };
}
