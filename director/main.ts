/** The director as a process: start, signals, end. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { formatDiagnostic } from "../common/config/diagnostics.js";
import { BackupError, describeError, EXIT, exitCodeOf } from "../common/errors.js";
import { createLog, type Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { nowMs } from "../common/time.js";
import { loadTls, readPrivateKey } from "../common/tls/load.js";
import { openRevocations, readRevoked } from "../common/tls/revoked.js";
import { RpcServer } from "../proto/rpc.js";
import { CertificateWatch } from "./certificates.js";
import { loadDirectorConfig } from "./config/load.js";
import type { DirectorConfig } from "./config/types.js";
import { Daemons } from "./daemons/daemons.js";
import { DirectorDb } from "./db/database.js";
import { Director } from "./director.js";
import { lockDirectory } from "./lock.js";
import { MessageCenter } from "./messages/center.js";
import { addDirectorService } from "./service.js";

export interface DirectorProcessOptions {
  configFile: string;
  /** Only checks the configuration. */
  test?: boolean;
  /** (Default: stderr) */
  log?: Log;
  /** Ends the director as SIGTERM does; for programs that start one inside themselves. */
  signal?: AbortSignal;
  /** Hears that the director serves, and on which port. */
  onReady?: (port: number, director: Director) => void;
}

const DAY_MS = 86_400_000;
const GRACE_MS = 500;

/** Runs the director until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export async function runDirector(options: DirectorProcessOptions): Promise<number> {
  const log = options.log ?? createLog("director");
  let config: DirectorConfig;
  try {
    config = loadDirectorConfig(options.configFile);
  } catch (error) {
    const text = error instanceof BackupError ? error.message : describeError(error);
    for (const line of text.split("\n")) process.stderr.write(`${line}\n`);
    return exitCodeOf(error);
  }
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
  if (options.test === true) return EXIT.ok;
  const closers: (() => void | Promise<void>)[] = [];
  try {
    const director = await open(options, config, log, closers);
    await untilTold(director, log, options.signal);
    return EXIT.ok;
  } catch (error) {
    log.fatal(describeError(error));
    return exitCodeOf(error);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(
  options: DirectorProcessOptions,
  config: DirectorConfig,
  log: Log,
  closers: (() => void | Promise<void>)[],
): Promise<Director> {
  const { name, address, port, workingDirectory, revokedFile } = config.director;
  const tls = loadTls(config.director.tls);
  const ticketKey = readPrivateKey(config.director.ticketKeyFile);
  readRevoked(revokedFile);
  const revocations = openRevocations(revokedFile, (error) => log.error(describeError(error)));
  const isRevoked = revocations.isRevoked.bind(revocations);
  makeDirectory(workingDirectory);
  const lock = lockDirectory(workingDirectory);
  closers.push(() => lock.release());
  const db = DirectorDb.open(join(workingDirectory, "director.db"));
  closers.push(() => db.close());
  let director: Director | undefined;
  const current = (): DirectorConfig => director?.config ?? config;
  const daemonMessages = () => {
    const used = current().director.messages;
    return used === undefined ? undefined : current().messages.get(used);
  };
  const messages = new MessageCenter({ db, name, log, daemonMessages });
  closers.push(() => messages.flush());
  const warn = (text: string): void => {
    log.warn(text);
    messages.daemon("warning", text);
  };
  const certificates = new CertificateWatch(tls.certificate, warn);
  const onPeer = certificates.met.bind(certificates);
  const version = packageVersion();
  const revoked = (): string[] =>
    readRevoked(current().director.revokedFile).map((entry) => entry.fingerprint);
  const daemons = new Daemons({ config: current, tls, software: version, isRevoked, revoked, onPeer });
  closers.push(() => daemons.close());
  const load = (): DirectorConfig => loadDirectorConfig(options.configFile);
  director = new Director({ config, load, db, messages, daemons, ticketKey, version, log });
  const server = new RpcServer({ tls, isRevoked });
  addDirectorService(server, { director, version, log: log.child({ scope: "console" }), onPeer });
  const bound = await server.listen(address, port);
  closers.push(() => server.close(GRACE_MS));
  director.start();
  closers.push(() => director.stop());
  closers.push(daily(director, certificates, log));
  log.info(`director "${name}" ${version} serves on ${address}:${bound}`);
  options.onReady?.(bound, director);
  return director;
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 });
  } catch (cause) {
    const message = `the working directory ${directory} cannot be made: ${describeError(cause)}`;
    throw new BackupError("WORKING_DIRECTORY", message, { cause });
  }
}

/** Certificates and old statistics, now and every day; the result ends it. */
function daily(director: Director, certificates: CertificateWatch, log: Log): () => void {
  const work = (): void => {
    certificates.check();
    const pruned = director.db.jobs.prune(nowMs() - director.config.director.statisticsRetentionSec * 1000);
    if (pruned > 0) log.info(`${pruned} old job records pruned`);
  };
  work();
  const timer = setInterval(work, DAY_MS);
  return () => clearInterval(timer);
}

/** Resolves on SIGTERM, SIGINT or the signal; SIGHUP reloads meanwhile. */
function untilTold(director: Director, log: Log, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const reload = (): void => {
      void director.reload().then(({ ok, errors }) => {
        if (ok) log.info("configuration reloaded");
        for (const line of errors) log.error(line);
        if (!ok) log.error("the old configuration stays in force");
      });
    };
    const stray = (error: unknown): void => log.error("unexpected failure", { err: error });
    const end = (): void => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, end);
      process.off("SIGHUP", reload);
      process.off("unhandledRejection", stray);
      log.info("the director ends");
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
