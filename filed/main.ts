/** The file daemon as a process: start, signals, end. */
import { createPublicKey } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { formatDiagnostic } from "../common/config/diagnostics.js";
import { BackupError, describeError, EXIT, exitCodeOf } from "../common/errors.js";
import { createLog, type Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { baculaTime, nowMs } from "../common/time.js";
import { expiryWarning, loadTls, type TlsMaterial } from "../common/tls/load.js";
import { addRevoked, openRevocations, readRevoked } from "../common/tls/revoked.js";
import { type ProtocolVersion, RpcServer } from "../proto/rpc.js";
import { type FiledConfig, loadFiledConfig } from "./config.js";
import { FiledService } from "./service.js";

export interface FiledProcessOptions {
  configFile: string;
  /** Only checks the configuration. */
  test?: boolean;
  /** (Default: stderr) */
  log?: Log;
  /** Ends the daemon as SIGTERM does; for programs that start one inside themselves. */
  signal?: AbortSignal;
  /** Hears that the daemon serves, and on which port. */
  onReady?: (port: number) => void;
  /** Acts a release that speaks this; for tests. (Default: the real one) */
  protocol?: ProtocolVersion;
}

const DAY_MS = 86_400_000;
const GRACE_MS = 1000;

type Closer = () => void | Promise<void>;

/** What the running parts ask for each time, so that a reload reaches them. */
interface Live {
  config: FiledConfig;
  ticketKey: Buffer;
}

/** Runs the daemon until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export async function runFiled(options: FiledProcessOptions): Promise<number> {
  const log = options.log ?? createLog("filed");
  let config: FiledConfig;
  try {
    config = loadFiledConfig(options.configFile);
  } catch (error) {
    process.stderr.write(`${error instanceof BackupError ? error.message : describeError(error)}\n`);
    return exitCodeOf(error);
  }
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
  if (options.test === true) return EXIT.ok;
  const closers: Closer[] = [];
  try {
    const live: Live = { config, ticketKey: readTicketKey(config) };
    await open(options, live, log, closers);
    await untilTold(options, live, log);
    return EXIT.ok;
  } catch (error) {
    log.fatal(describeError(error));
    return exitCodeOf(error);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(options: FiledProcessOptions, live: Live, log: Log, closers: Closer[]): Promise<void> {
  const { name, address, port, workingDirectory, revokedFile } = live.config;
  const tls = loadTls(live.config.tls);
  readRevoked(revokedFile);
  const revocations = openRevocations(revokedFile, (error) => log.error(describeError(error)));
  const told = new Set<string>();
  const isRevoked = (fingerprint: string): boolean =>
    told.has(fingerprint) || revocations.isRevoked(fingerprint);
  makeWorkingDirectory(workingDirectory);
  const version = packageVersion();
  const service = new FiledService({
    config: () => live.config,
    ticketKey: () => live.ticketKey,
    log,
    tls,
    isRevoked,
    version,
    protocol: options.protocol,
    onRevoked: (fingerprints) => keepRevoked(fingerprints, told, revokedFile, log),
  });
  const server = new RpcServer({ tls, isRevoked });
  service.register(server);
  const bound = await server.listen(address, port);
  closers.push(() => server.close(GRACE_MS));
  closers.push(() => service.close("the file daemon was stopped"));
  closers.push(watchCertificate(tls, log));
  log.info(`filed "${name}" ${version} serves on ${address}:${bound}`);
  options.onReady?.(bound);
}

function makeWorkingDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
  } catch (cause) {
    const text = `cannot use the working directory ${directory}: ${describeError(cause)}`;
    throw new BackupError("WORKING_DIRECTORY", text, { cause });
  }
}

/** Withdrawn certificates that a director names count at once, and after a restart. */
function keepRevoked(fingerprints: readonly string[], told: Set<string>, file: string, log: Log): void {
  const fresh = fingerprints
    .map((text) => text.toLowerCase())
    .filter((text) => /^[0-9a-f]{64}$/.test(text) && !told.has(text));
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
}

/** @throws BackupError TICKET_KEY_INVALID */
function readTicketKey(config: FiledConfig): Buffer {
  const file = config.ticketPublicKeyFile;
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
function watchCertificate(tls: TlsMaterial, log: Log): Closer {
  const look = (): void => {
    const warning = expiryWarning(tls.certificate);
    if (warning !== undefined) log.warn(warning);
  };
  look();
  const timer = setInterval(look, DAY_MS);
  return () => clearInterval(timer);
}

/** Takes over what can change while jobs run: directors, hooks, roots, limits, ticket key. Else the old stays. */
function reload(options: FiledProcessOptions, live: Live, log: Log): void {
  try {
    const config = loadFiledConfig(options.configFile);
    const ticketKey = readTicketKey(config);
    for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
    const { name, address, port, workingDirectory, revokedFile, tls } = live.config;
    const fixed = { name, address, port, workingDirectory, revokedFile, tls };
    for (const [key, value] of Object.entries(fixed)) {
      if (JSON.stringify(config[key as keyof typeof fixed]) === JSON.stringify(value)) continue;
      log.warn(`${key} changed in the configuration: it takes effect at the next start`);
    }
    live.config = { ...config, ...fixed };
    live.ticketKey = ticketKey;
    log.info("configuration reloaded");
  } catch (error) {
    for (const line of describeLines(error)) log.error(line);
    log.error("the old configuration stays in force");
  }
}

function describeLines(error: unknown): string[] {
  return error instanceof BackupError ? error.message.split("\n") : [describeError(error)];
}

/** Resolves on SIGTERM, SIGINT or the signal; SIGHUP reloads meanwhile. */
function untilTold(options: FiledProcessOptions, live: Live, log: Log): Promise<void> {
  return new Promise((resolve) => {
    const hangUp = (): void => reload(options, live, log);
    const end = (): void => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, end);
      process.off("SIGHUP", hangUp);
      log.info("the file daemon ends");
      resolve();
    };
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, end);
    process.on("SIGHUP", hangUp);
    // A defect in one job must not end all the others.
    process.on("unhandledRejection", (error) => log.error("unexpected failure", { err: error }));
    if (options.signal?.aborted === true) end();
    else options.signal?.addEventListener("abort", end, { once: true });
  });
}
