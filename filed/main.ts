/** The file daemon as a process: start, signals, end. */
import {
  type Closer,
  type DaemonOptions,
  knownRevocations,
  makeWorkingDirectory,
  readTicketPublicKey,
  reloadLive,
  runDaemon,
  untilTold,
  watchCertificate,
} from "../common/daemon.js";
import type { Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { openIdentity } from "../proto/enrol/identity.js";
import { type Peer, type ProtocolVersion, RpcServer } from "../proto/rpc.js";
import { type FiledConfig, loadFiledConfig } from "./config.js";
import { clearLeftovers } from "./from-image/room.js";
import { NamesInbox } from "./lists/inbox.js";
import { endRestedThreads } from "./pack/rested-threads.js";
import { FiledService } from "./service.js";
import { cleanUpAtStart } from "./snapshot/daemon.js";

export interface FiledProcessOptions extends DaemonOptions {
  /** Hears that the daemon serves, and on which port. */
  onReady?: (port: number) => void;
  /** Acts a release that speaks this; for tests. (Default: the real one) */
  protocol?: ProtocolVersion;
}

/** For what is on its way to others: how a job ended. Nobody waits that long where nothing is. */
const GRACE_MS = 5000;

/** What the running parts ask for each time, so that a reload reaches them. */
interface Live {
  config: FiledConfig;
  ticketKey: Buffer;
}

/** Runs the daemon until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export function runFiled(options: FiledProcessOptions): Promise<number> {
  return runDaemon("filed", options, loadFiledConfig, async (config, log, closers) => {
    const live: Live = { config, ticketKey: ticketKeyOf(config) };
    await open(options, live, log, closers);
    const { signal } = options;
    await untilTold("the file daemon", { log, signal, reload: () => reload(options, live, log) });
  });
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(options: FiledProcessOptions, live: Live, log: Log, closers: Closer[]): Promise<void> {
  const { name, address, port, workingDirectory, revokedFile } = live.config;
  const { isRevoked, learn } = knownRevocations(revokedFile, log);
  const identity = await openIdentity("filed", () => live.config, { log, isRevoked });
  const { enrolment } = identity;
  makeWorkingDirectory(workingDirectory);
  await cleanUpAtStart(live.config, log);
  await clearLeftovers(workingDirectory, log);
  const version = packageVersion();
  const service = new FiledService({
    // In Bacula a director may know the daemon by another name than it has itself.
    config: () => (enrolment === undefined ? live.config : { ...live.config, name: enrolment.name }),
    ticketKey: () => enrolment?.ticketKey() ?? live.ticketKey,
    log,
    inbox: new NamesInbox(workingDirectory),
    get tls() {
      return identity.tls();
    },
    admit: (peer) => identity.admit(peer),
    isRevoked,
    version,
    protocol: options.protocol,
    onRevoked: learn,
  });
  if (enrolment !== undefined && live.config.hookDirectories.includes("/")) {
    log.warn("as in Bacula, jobs may run any command here; Allowed Script Dir names directories for them");
  }
  const server = new RpcServer({ ...identity.server, isRevoked, sendsMuch: isStorage });
  service.register(server);
  const bound = await server.listen(address, port);
  closers.push(endRestedThreads);
  closers.push(() => server.close(GRACE_MS));
  closers.push(() => service.close("the file daemon was stopped"));
  if (enrolment === undefined) closers.push(watchCertificate(identity.tls(), log));
  log.info(`filed "${name}" ${version} serves on ${address}:${bound}`);
  options.onReady?.(bound);
}

/** What a storage daemon sends, lists of parents, comes on connections of their own. */
const isStorage = ({ role }: Peer): boolean => role === "storaged";

/** Takes over what can change while jobs run: directors, hooks, roots, limits, ticket key. Else the old stays. */
function reload(options: FiledProcessOptions, live: Live, log: Log): void {
  const { name, address, port, workingDirectory, revokedFile, tls } = live.config;
  const load = (): FiledConfig => {
    const config = loadFiledConfig(options.configFile);
    live.ticketKey = ticketKeyOf(config);
    return config;
  };
  reloadLive(log, { name, address, port, workingDirectory, revokedFile, tls }, load, (config) => {
    live.config = config;
  });
}

/** Without a key of its own yet, a daemon with Bacula's configuration gets one at the first contact. */
function ticketKeyOf({ bacula, ticketPublicKeyFile }: FiledConfig): Buffer {
  return bacula === undefined ? readTicketPublicKey(ticketPublicKeyFile) : Buffer.alloc(0);
}
