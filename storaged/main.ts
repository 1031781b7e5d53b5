/** The storage daemon as a process: start, signals, end. */

import { createPublicKey } from "node:crypto";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { formatDiagnostic } from "../common/config/diagnostics.js";
import { BackupError, describeError, EXIT, exitCodeOf } from "../common/errors.js";
import { createLog, type Log } from "../common/log.js";
import { packageVersion } from "../common/package.js";
import { expiryWarning, loadTls, type TlsMaterial } from "../common/tls/load.js";
import { openRevocations, readRevoked } from "../common/tls/revoked.js";
import type { StorageBackup__Output } from "../proto/generated/basalt/v1/StorageBackup.js";
import { RpcChannel, RpcServer } from "../proto/rpc.js";
import { Catalog } from "./catalog/catalog.js";
import { type DeviceResource, loadStoragedConfig, type StoragedConfig } from "./config.js";
import { lockWorkingDirectory } from "./lock.js";
import { recoverStorage } from "./recover.js";
import { StoragedService } from "./service.js";
import { VolumeDesk } from "./session/volume-desk.js";
import { VolumeFiles } from "./session/volume-files.js";
import { FileStore } from "./store/file-store.js";
import { FrameVerifier } from "./volume/verify.js";

export interface StoragedProcessOptions {
  configFile: string;
  /** Only checks the configuration. */
  test?: boolean;
  /** (Default: stderr) */
  log?: Log;
  /** Ends the daemon as SIGTERM does; for programs that start one inside themselves. */
  signal?: AbortSignal;
  /** Hears that the daemon serves, and on which port. */
  onReady?: (port: number) => void;
}

const DAY_MS = 86_400_000;
const GRACE_MS = 1000;

type Closer = () => void | Promise<void>;

/** What the running parts ask for each time, so that a reload reaches them. */
interface Live {
  config: StoragedConfig;
  ticketKey: Buffer;
  /** Ends the process: something it cannot go on without is gone. */
  fatal: (error: Error) => void;
}

/** Runs the daemon until SIGTERM or SIGINT; the exit status. Whatever keeps it from starting is one clear line. */
export async function runStoraged(options: StoragedProcessOptions): Promise<number> {
  const log = options.log ?? createLog("storaged");
  let config: StoragedConfig;
  try {
    config = loadStoragedConfig(options.configFile);
  } catch (error) {
    const text = error instanceof BackupError ? error.message : describeError(error);
    process.stderr.write(`${text}\n`);
    return exitCodeOf(error);
  }
  for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
  if (options.test === true) return EXIT.ok;
  const closers: Closer[] = [];
  try {
    const live: Live = { config, ticketKey: readTicketKey(config), fatal: () => undefined };
    const died = new Promise<never>((_resolve, reject) => {
      live.fatal = reject;
    });
    died.catch(() => undefined);
    await open(options, live, log, closers);
    await Promise.race([untilTold(options, live, log), died]);
    return EXIT.ok;
  } catch (error) {
    log.fatal(describeError(error));
    return exitCodeOf(error);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Opens everything in order; what was opened is in `closers`, also when a later step fails. */
async function open(options: StoragedProcessOptions, live: Live, log: Log, closers: Closer[]): Promise<void> {
  const { name, address, port, workingDirectory, catalogFile, revokedFile } = live.config;
  const tls = loadTls(live.config.tls);
  readRevoked(revokedFile);
  const revocations = openRevocations(revokedFile, (error) => log.error(describeError(error)));
  const told = new Set<string>();
  const isRevoked = (fingerprint: string) => told.has(fingerprint) || revocations.isRevoked(fingerprint);
  const lock = lockWorkingDirectory(workingDirectory);
  closers.push(lock.release);
  checkDevices(live.config.devices);
  const catalog = await Catalog.open(catalogFile, (error) => live.fatal(error));
  closers.push(() => catalog.close());
  const store = new FileStore();
  const verifier = new FrameVerifier();
  closers.push(() => verifier.close());
  const devices = () => live.config.devices;
  const desk = new VolumeDesk({ catalog, store, log, storage: name, devices });
  const files = new VolumeFiles({ catalog, store, log, storage: name });
  await recoverStorage({ catalog, store, files, devices: devices(), workingDirectory, log });
  const version = packageVersion();
  const service = new StoragedService({
    config: () => live.config,
    ticketKey: () => live.ticketKey,
    catalog,
    store,
    desk,
    verifier,
    log,
    version,
    connect: (request, signal) => connectFiled(request, signal, tls, isRevoked),
    onRevoked: (fingerprints) => {
      for (const fingerprint of fingerprints) told.add(fingerprint);
    },
  });
  const server = new RpcServer({ tls, isRevoked });
  service.register(server);
  const bound = await server.listen(address, port);
  closers.push(() => server.close(GRACE_MS));
  closers.push(() => service.close("the storage daemon was stopped"));
  closers.push(watchCertificate(tls, log));
  log.info(`storaged "${name}" ${version} serves on ${address}:${bound}`);
  options.onReady?.(bound);
}

async function connectFiled(
  request: StorageBackup__Output,
  signal: AbortSignal,
  tls: TlsMaterial,
  isRevoked: (fingerprint: string) => boolean,
) {
  const { filedAddress, filedPort, client } = request;
  const expect = { role: "filed", name: client } as const;
  const channel = new RpcChannel({ address: filedAddress, port: filedPort, tls, expect, isRevoked });
  const stream = channel.data("FiledData", "Backup", { signal });
  return { stream, close: () => channel.close() };
}

/** @throws BackupError TICKET_KEY_INVALID */
function readTicketKey(config: StoragedConfig): Buffer {
  const file = config.ticketPublicKeyFile;
  try {
    const key = readFileSync(file);
    if (createPublicKey(key).asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key");
    return key;
  } catch (cause) {
    throw new BackupError(
      "TICKET_KEY_INVALID",
      `cannot use the director's ticket key ${file}: ${describeError(cause)}`,
    );
  }
}

/** @throws BackupError DEVICE_UNUSABLE: a directory that is missing now would be missed by every job. */
function checkDevices(devices: ReadonlyMap<string, DeviceResource>): void {
  for (const { name, archiveDevice, enabled, readOnly } of devices.values()) {
    if (!enabled) continue;
    try {
      if (!statSync(archiveDevice).isDirectory()) throw new Error(`${archiveDevice} is not a directory`);
      accessSync(archiveDevice, constants.R_OK | constants.X_OK | (readOnly ? 0 : constants.W_OK));
    } catch (cause) {
      throw new BackupError("DEVICE_UNUSABLE", `Device "${name}" cannot be used: ${describeError(cause)}`);
    }
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

/** Takes over what can change while jobs run: devices, directors, limits, ticket key. Else the old stays. */
function reload(options: StoragedProcessOptions, live: Live, log: Log): void {
  try {
    const config = loadStoragedConfig(options.configFile);
    const ticketKey = readTicketKey(config);
    checkDevices(config.devices);
    for (const warning of config.warnings) log.warn(formatDiagnostic(warning));
    const { name, address, port, workingDirectory, catalogFile, tls } = live.config;
    const fixed = { name, address, port, workingDirectory, catalogFile, tls };
    const changed = Object.entries(fixed).filter(
      ([key, value]) => JSON.stringify(config[key as keyof typeof fixed]) !== JSON.stringify(value),
    );
    for (const [key] of changed)
      log.warn(`${key} changed in the configuration: it takes effect at the next start`);
    live.config = { ...config, ...fixed };
    live.ticketKey = ticketKey;
    log.info("configuration reloaded");
  } catch (error) {
    for (const line of (error as Error).message.split("\n")) log.error(line);
    log.error("the old configuration stays in force");
  }
}

/** Resolves on SIGTERM, SIGINT or the signal; SIGHUP reloads meanwhile. */
function untilTold(options: StoragedProcessOptions, live: Live, log: Log): Promise<void> {
  return new Promise((resolve) => {
    const hangUp = (): void => reload(options, live, log);
    const stray = (error: unknown): void => log.error("unexpected failure", { err: error });
    const end = (): void => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, end);
      process.off("SIGHUP", hangUp);
      log.info("the storage daemon ends");
      resolve();
    };
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, end);
    process.on("SIGHUP", hangUp);
    // A defect in one job must not end all the others.
    process.on("unhandledRejection", stray);
    if (options.signal?.aborted === true) end();
    else options.signal?.addEventListener("abort", end, { once: true });
  });
}
