/** The storage daemon as a process: start, signals, end. */

import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
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
import { BackupError, describeError } from "../common/errors.js";
import { createLog, type Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { lockWorkingDirectory } from "../common/working-directory.js";
import { type DaemonIdentity, openIdentity } from "../proto/enrol/identity.js";
import type { StorageCopy__Output } from "../proto/generated/basalt/v1/StorageCopy.js";
import { RpcChannel, RpcServer } from "../proto/rpc.js";
import { Catalog } from "./catalog/catalog.js";
import { ChangerStore, slotsOf } from "./changer/changer-store.js";
import { loadStoragedConfig, type StoragedConfig } from "./config.js";
import { isScripted } from "./device-config.js";
import { recoverStorage } from "./recover.js";
import { JobDeleter } from "./retention/delete.js";
import { ListKeeper } from "./retention/list-keeper.js";
import { deleteMigrated } from "./retention/migrated.js";
import { StoragedService } from "./service.js";
import { DialedClients } from "./session/dialed-clients.js";
import type { FiledMethod, FiledPlace } from "./session/session-deps.js";
import { VolumeDesk } from "./session/volume-desk.js";
import { VolumeFiles } from "./session/volume-files.js";
import { FileStore } from "./store/file-store.js";
import { FrameVerifier } from "./volume/verify.js";

export interface StoragedProcessOptions extends DaemonOptions {
  /** Hears that the daemon serves, and on which port. */
  onReady?: (port: number) => void;
}

/** For what is on its way to others: how a job ended. Nobody waits that long where nothing is. */
const GRACE_MS = 5000;

/** What the running parts ask for each time, so that a reload reaches them. */
interface Live {
  config: StoragedConfig;
  ticketKey: Buffer;
  /** Ends the process: something it cannot go on without is gone. */
  fatal: (error: Error) => void;
}

/** Runs the daemon until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export function runStoraged(options: StoragedProcessOptions): Promise<number> {
  return runDaemon(
    "storaged",
    options,
    (file) => loadTested(file, options),
    async (config, log, closers) => {
      const live: Live = { config, ticketKey: ticketKeyOf(config), fatal: () => undefined };
      const died = new Promise<never>((_resolve, reject) => {
        live.fatal = reject;
      });
      died.catch(() => undefined);
      await open(options, live, log, closers);
      const { signal } = options;
      const told = untilTold("the storage daemon", { log, signal, reload: () => reload(options, live, log) });
      await Promise.race([told, died]);
    },
  );
}

/** Loads the configuration. A test tells of devices that the start would miss; they may be mounted or made later. */
function loadTested(file: string, { test, log }: StoragedProcessOptions): StoragedConfig {
  const config = loadStoragedConfig(file);
  if (test !== true) return config;
  const told = log ?? createLog("storaged");
  const end = config.bacula === undefined ? "; the daemon does not start without it" : "";
  for (const fault of deviceFaults(config)) told.warn(`${fault}${end}`);
  return config;
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(options: StoragedProcessOptions, live: Live, log: Log, closers: Closer[]): Promise<void> {
  const { name, address, port, workingDirectory, catalogFile, revokedFile } = live.config;
  const { isRevoked, learn } = knownRevocations(revokedFile, log);
  const identity = await openIdentity("storaged", () => live.config, { log, isRevoked });
  makeWorkingDirectory(workingDirectory);
  const lock = lockWorkingDirectory(workingDirectory, "storaged");
  closers.push(() => lock.release());
  checkDevices(live.config, log);
  const catalog = await Catalog.open(catalogFile, (error) => live.fatal(error));
  closers.push(() => catalog.close());
  const devices = () => live.config.devices;
  const store = new ChangerStore({ below: new FileStore(), devices, catalog: slotsOf(() => catalog) });
  const verifier = new FrameVerifier();
  closers.push(() => verifier.close());
  catalog.keeper = new ListKeeper({ catalog, store, devices, log });
  const desk = new VolumeDesk({ catalog, store, log, storage: name, devices });
  const files = new VolumeFiles({ catalog, store, log, storage: name });
  const around = { files, desk, storage: name, devices: devices(), workingDirectory, log };
  await recoverStorage({ catalog, store, ...around });
  const deleter = new JobDeleter({ catalog, desk, log });
  for (const text of (await deleter.resume()).warnings) log.warn(text);
  for (const text of (await deleteMigrated(catalog, deleter, log)).warnings) log.warn(text);
  const version = packageVersion();
  const dialed = new DialedClients((place) => channelTo(place, identity, isRevoked));
  closers.push(() => dialed.close());
  const service = new StoragedService({
    config: () => live.config,
    ticketKey: () => identity.enrolment?.ticketKey() ?? live.ticketKey,
    admit: (peer) => identity.admit(peer),
    catalog,
    store,
    desk,
    deleter,
    verifier,
    log,
    version,
    connect: (request, method) => connectFiled(dialed.take(request), method),
    dialed,
    dialStorage: (request) => dialStoraged(request, identity, isRevoked),
    onRevoked: learn,
  });
  const server = new RpcServer({ ...identity.server, isRevoked });
  service.register(server);
  const bound = await server.listen(address, port);
  closers.push(() => server.close(GRACE_MS));
  closers.push(() => service.close("the storage daemon was stopped"));
  if (identity.enrolment === undefined) closers.push(watchCertificate(identity.tls(), log));
  log.info(`storaged "${name}" ${version} serves on ${address}:${bound}`);
  options.onReady?.(bound);
}

function channelTo(
  { filedAddress, filedPort, client }: FiledPlace,
  identity: DaemonIdentity,
  isRevoked: (fingerprint: string) => boolean,
): RpcChannel {
  const expect = { role: "filed", name: client } as const;
  const tls = identity.tls();
  return new RpcChannel({ address: filedAddress, port: filedPort, tls, expect, isRevoked });
}

async function connectFiled(channel: RpcChannel, method: FiledMethod = "Backup") {
  const stream = channel.data("FiledData", method);
  return { stream, close: () => channel.close() };
}

/** The storage daemon that has the original of a copy. */
async function dialStoraged(
  { fromName, fromAddress, fromPort }: StorageCopy__Output,
  identity: DaemonIdentity,
  isRevoked: (fingerprint: string) => boolean,
) {
  const expect = { role: "storaged", name: fromName } as const;
  const tls = identity.tls();
  const channel = new RpcChannel({ address: fromAddress, port: fromPort, tls, expect, isRevoked });
  const stream = channel.data("StoragedData", "Copy");
  return { stream, close: () => channel.close() };
}

/** Without a key of its own yet, a daemon with Bacula's configuration gets one at the first contact. */
function ticketKeyOf({ bacula, ticketPublicKeyFile }: StoragedConfig): Buffer {
  return bacula === undefined ? readTicketPublicKey(ticketPublicKeyFile) : Buffer.alloc(0);
}

/**
 * With Bacula's configuration a daemon starts without the directory of a device, as there; jobs that use it fail.
 * @throws BackupError DEVICE_UNUSABLE: a directory that is missing now would be missed by every job.
 */
function checkDevices(config: StoragedConfig, log: Log): void {
  for (const fault of deviceFaults(config)) {
    if (config.bacula === undefined) throw new BackupError("DEVICE_UNUSABLE", fault);
    log.warn(fault);
  }
}

/** A line for each enabled device whose directory is missing or out of reach. */
function deviceFaults({ devices }: StoragedConfig): string[] {
  const faults: string[] = [];
  for (const device of devices.values()) {
    const { name, enabled, readOnly } = device;
    if (!enabled) continue;
    // A drive's link is made by the changer's command, in a directory that must be there.
    const directory = isScripted(device) ? dirname(device.archiveDevice) : device.archiveDevice;
    try {
      if (!statSync(directory).isDirectory()) throw new Error(`${directory} is not a directory`);
      accessSync(directory, constants.R_OK | constants.X_OK | (readOnly ? 0 : constants.W_OK));
    } catch (cause) {
      faults.push(`Device "${name}" cannot be used: ${describeError(cause)}`);
    }
  }
  return faults;
}

/** Takes over what can change while jobs run: devices, directors, limits, ticket key. Else the old stays. */
function reload(options: StoragedProcessOptions, live: Live, log: Log): void {
  const { name, address, port, workingDirectory, catalogFile, revokedFile, tls } = live.config;
  const load = (): StoragedConfig => {
    const config = loadStoragedConfig(options.configFile);
    checkDevices(config, log);
    live.ticketKey = ticketKeyOf(config);
    return config;
  };
  const fixed = { name, address, port, workingDirectory, catalogFile, revokedFile, tls };
  reloadLive(log, fixed, load, (config) => {
    live.config = config;
  });
}
