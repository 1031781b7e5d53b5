/** The storage daemon's configuration: who may connect, and the directories that hold volumes. */

import path from "node:path";
import { loadDaemonConfig } from "../common/bacula/load.js";
import type { Diagnostics } from "../common/config/diagnostics.js";
import type { Loaded } from "../common/config/load.js";
import { address, DAEMON_NO_EFFECT, pathText, tls, toTlsFiles } from "../common/config/parts.js";
import {
  type ResourceOf,
  readResources,
  requireDirectives,
  resourceName,
  single,
} from "../common/config/resources.js";
import type { ConfigSource } from "../common/config/source.js";
import { type BlockSpec, commaList, duration, integer, port, yesNo } from "../common/config/spec.js";
import type { TlsFiles } from "../common/tls/load.js";
import { AUTOCHANGER_SPEC, DEVICE_SPEC, type DeviceResource, toDevices } from "./device-config.js";

export type { DeviceResource } from "./device-config.js";

export interface StoragedConfig extends Loaded {
  readonly name: string;
  /** Address to listen on. (Default: 127.0.0.1) */
  readonly address: string;
  /** (Default: 9103) */
  readonly port: number;
  readonly workingDirectory: string;
  /** (Default: 20) */
  readonly maximumConcurrentJobs: number;
  /** Seconds between two checkpoints of a job; what came before the last one outlives a crash. (Default: 15) */
  readonly checkpointIntervalSec: number;
  readonly tls: TlsFiles;
  /** Ed25519 public key (PEM) of the director's tickets. (Default: pki/ticket.pub) */
  readonly ticketPublicKeyFile: string;
  /** List of withdrawn certificates; may not exist. (Default: pki/revoked.yaml) */
  readonly revokedFile: string;
  /** Names of the directors that may give orders. */
  readonly directors: readonly string[];
  /** By name, in file order. */
  readonly devices: ReadonlyMap<string, DeviceResource>;
  /** SQLite file of the catalog. (Default: catalog.db in the working directory) */
  readonly catalogFile: string;
}

const daemonDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  workingDirectory: pathText(),
  maximumConcurrentJobs: integer(1, 10000),
  checkpointInterval: duration(),
  tls: tls(),
  ticketPublicKeyFile: pathText(),
  revokedFile: pathText(),
  directors: commaList(),
  catalogFile: pathText(),
};

const DAEMON_SPEC: BlockSpec<typeof daemonDirectives> = {
  directives: daemonDirectives,
  aliases: { SdPort: "port", SdAddress: "address" },
  noEffect: { ...DAEMON_NO_EFFECT, HeartbeatInterval: "the director keeps connections alive" },
};

const directorDirectives = { name: resourceName(), enabled: yesNo() };
const DIRECTOR_SPEC: BlockSpec<typeof directorDirectives> = {
  directives: directorDirectives,
  noEffect: { ...DAEMON_NO_EFFECT, Address: "the director calls", Port: "the director calls" },
};

const KINDS = {
  Storage: DAEMON_SPEC,
  Director: DIRECTOR_SPEC,
  Device: DEVICE_SPEC,
  Autochanger: AUTOCHANGER_SPEC,
};
const IGNORED = { Messages: "messages of jobs go to the director, all else to the log" };

/** Loads storaged.yaml. Throws ConfigError (`CONFIG_INVALID`) with every finding, or `CONFIG_NOT_FOUND`. */
export function loadStoragedConfig(file: string): StoragedConfig {
  return loadDaemonConfig("storaged", file, buildStoragedConfig);
}

/** The configuration of entries from wherever; what is wrong is reported. */
export function buildStoragedConfig(
  source: ConfigSource,
  diagnostics: Diagnostics,
): Omit<StoragedConfig, keyof Loaded> | undefined {
  const raw = readResources(source, KINDS, diagnostics, IGNORED);
  const daemon = single("Storage", raw.Storage, { file: source.file, diagnostics });
  if (daemon === undefined) return undefined;
  const named = [...raw.Director.values()].filter((director) => director.values.enabled !== false);
  const directors = [...new Set([...named.map(({ name }) => name), ...(daemon.values.directors ?? [])])];
  if (directors.length === 0) {
    diagnostics.error(daemon.at, `${daemon.place} names no director; add Director: {Name: …} with its Name`);
  }
  if (raw.Device.size === 0) {
    diagnostics.error(
      daemon.at,
      `${daemon.place} has no Device; add Device: {Name: …, ArchiveDevice: /directory}`,
    );
  }
  return {
    ...toDaemon(daemon, diagnostics),
    directors,
    devices: toDevices(raw.Device, raw.Autochanger, diagnostics),
  };
}

function toDaemon(raw: ResourceOf<typeof DAEMON_SPEC>, diagnostics: Diagnostics) {
  const { values } = raw;
  requireDirectives(raw, ["workingDirectory"], diagnostics);
  const file = (name: string): string => path.resolve(raw.directory, name);
  const workingDirectory = file(values.workingDirectory ?? ".");
  return {
    name: raw.name,
    address: values.address ?? "127.0.0.1",
    port: values.port ?? 9103,
    workingDirectory,
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 20,
    checkpointIntervalSec: values.checkpointInterval ?? 15,
    tls: toTlsFiles(raw, values.tls, diagnostics),
    ticketPublicKeyFile: file(values.ticketPublicKeyFile ?? "pki/ticket.pub"),
    revokedFile: file(values.revokedFile ?? "pki/revoked.yaml"),
    catalogFile: file(values.catalogFile ?? path.join(workingDirectory, "catalog.db")),
  };
}
