/** The director as a process: start, signals, end. */

import path from "node:path";
import { formatDiagnostic } from "../common/config/diagnostics.js";
import {
  type Closer,
  type DaemonOptions,
  makeWorkingDirectory,
  runDaemon,
  untilTold,
} from "../common/daemon.js";
import { describeError } from "../common/errors.js";
import type { Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { nowMs } from "../common/time.js";
import { loadTls, readPrivateKey } from "../common/tls/load.js";
import { openRevocations, readRevoked } from "../common/tls/revoked.js";
import { lockWorkingDirectory } from "../common/working-directory.js";
import { type Peer, RpcServer } from "../proto/rpc.js";
import { CertificateWatch } from "./certificates.js";
import { loadDirectorConfig } from "./config/load.js";
import type { DirectorConfig } from "./config/types.js";
import { dropSentFiles } from "./console/sent-files.js";
import { Daemons } from "./daemons/daemons.js";
import { DirectorDb, databaseFile } from "./db/database.js";
import { Director } from "./director.js";
import type { ConsoleDoor } from "./enrolment/consoles.js";
import type { PinnedDaemons, PinnedDaemonsOptions } from "./enrolment/pinned.js";
import { MessageCenter } from "./messages/center.js";
import { addDirectorService, loadCommands } from "./service.js";

export interface DirectorProcessOptions extends DaemonOptions {
  /** Hears that the director serves, and on which port. */
  onReady?: (port: number, director: Director) => void;
}

const DAY_MS = 86_400_000;
const GRACE_MS = 500;

/** Runs the director until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export function runDirector(options: DirectorProcessOptions): Promise<number> {
  return runDaemon("director", options, loadDirectorConfig, async (config, log, closers) => {
    const director = await open(options, config, log, closers);
    const { signal } = options;
    await untilTold("the director", { log, signal, reload: () => void reload(director, log) });
  });
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(
  options: DirectorProcessOptions,
  config: DirectorConfig,
  log: Log,
  closers: Closer[],
): Promise<Director> {
  const { name, address, port, workingDirectory, revokedFile } = config.director;
  makeWorkingDirectory(workingDirectory);
  const lock = lockWorkingDirectory(workingDirectory, "director");
  closers.push(() => lock.release());
  dropSentFiles(workingDirectory);
  const pki = path.dirname(config.director.tls.caFile);
  if (config.bacula !== undefined)
    await (await import("./enrolment/authority.js")).ensureAuthority(pki, name);
  const tls = loadTls(config.director.tls);
  const ticketKey = readPrivateKey(config.director.ticketKeyFile);
  readRevoked(revokedFile);
  const revocations = openRevocations(revokedFile, (error) => log.error(describeError(error)));
  const isRevoked = revocations.isRevoked.bind(revocations);
  const db = DirectorDb.open(databaseFile(workingDirectory));
  closers.push(() => db.close());
  let director: Director | undefined;
  const current = (): DirectorConfig => director?.config ?? config;
  const daemonMessages = () => {
    const used = current().director.messages;
    return used === undefined ? undefined : current().messages.get(used);
  };
  const resource = (used: string) => current().messages.get(used);
  const clientAddress = (client: string) => current().clients.get(client)?.address;
  const messages = new MessageCenter({ db, name, log, daemonMessages, resource, clientAddress });
  closers.push(() => messages.close());
  const warn = (text: string): void => {
    log.warn(text);
    messages.daemon("warning", text);
  };
  const certificates = new CertificateWatch(tls.certificate, warn);
  const version = packageVersion();
  const revoked = (): string[] =>
    readRevoked(current().director.revokedFile).map((entry) => entry.fingerprint);
  const known = { config: current, tls, isRevoked };
  const { pins, door } = config.bacula === undefined ? {} : await passwordParts({ ...known, pki, log });
  const onPeer = (peer: Peer): void => {
    // What is good for one connection is not to be renewed.
    if (peer.proved !== true) certificates.met(peer);
  };
  const daemons = new Daemons({ ...known, ticketKey, software: version, revoked, onPeer, pins });
  closers.push(() => daemons.close());
  const load = (): DirectorConfig => loadWithWarnings(options.configFile, log);
  const consoleLog = log.child({ scope: "console" });
  const runConsole = async (whole: Director, line: string) =>
    (await import("./console/run-script.js")).runScriptCommand(whole, line, consoleLog);
  const selectJobIds = async (whole: Director, sql: string) =>
    (await import("./console/run-script.js")).jobIdsBySql(whole, sql, consoleLog);
  director = new Director({
    config,
    load,
    db,
    messages,
    daemons,
    ticketKey,
    version,
    runConsole,
    selectJobIds,
    log,
  });
  const server = new RpcServer({ tls, isRevoked, frontDoor: door });
  const refusal = door?.refusal.bind(door);
  addDirectorService(server, { director, version, log: consoleLog, onPeer, refusal });
  const bound = await server.listen(address, port);
  closers.push(() => server.close(GRACE_MS));
  messages.start();
  director.start();
  closers.push(() => director.stop());
  closers.push(daily(director, certificates, log));
  log.info(`director "${name}" ${version} serves on ${address}:${bound}`);
  loadCommands().catch((error: unknown) =>
    log.error("the console's commands cannot be loaded", { err: error }),
  );
  options.onReady?.(bound, director);
  return director;
}

/** What proves passwords, where the configuration has them; what makes certificates is slow to load. */
async function passwordParts(
  options: PinnedDaemonsOptions,
): Promise<{ pins?: PinnedDaemons; door?: ConsoleDoor }> {
  const { ConsoleDoor } = await import("./enrolment/consoles.js");
  const { PinnedDaemons } = await import("./enrolment/pinned.js");
  return { pins: new PinnedDaemons(options), door: new ConsoleDoor(options) };
}

/** For a reload: at the start the warnings are said by whoever starts the daemon. */
function loadWithWarnings(file: string, log: Log): DirectorConfig {
  const config = loadDirectorConfig(file);
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
  return config;
}

/** Certificates and old statistics, now and every day; the result ends it. */
function daily(director: Director, certificates: CertificateWatch, log: Log): () => void {
  const work = (): void => {
    certificates.check();
    const before = nowMs() - director.config.director.statisticsRetentionSec * 1000;
    try {
      const { figures, logLines } = director.db.history.prune(before);
      if (figures + logLines > 0) log.info(`${figures} old figures of jobs and ${logLines} log lines pruned`);
    } catch (error) {
      // A full disk must not end the director.
      log.error(`old statistics could not be pruned: ${describeError(error)}`);
    }
  };
  work();
  const timer = setInterval(work, DAY_MS);
  return () => clearInterval(timer);
}

async function reload(director: Director, log: Log): Promise<void> {
  const { ok, errors } = await director.reload();
  if (ok) log.info("configuration reloaded");
  for (const line of errors) log.error(line);
  if (!ok) log.error("the old configuration stays in force");
}
