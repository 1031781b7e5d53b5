/** The file daemon's configuration. What the director may have done here is decided in this file alone. */

import { availableParallelism } from "node:os";
import path from "node:path";
import { loadDaemonConfig } from "../common/bacula/load.js";
import type { Diagnostics } from "../common/config/diagnostics.js";
import type { Loaded } from "../common/config/load.js";
import {
  absolutePath,
  address,
  DAEMON_NO_EFFECT,
  pathText,
  tls,
  toTlsFiles,
} from "../common/config/parts.js";
import {
  type ResourceOf,
  readResources,
  requireDirectives,
  resourceName,
  single,
} from "../common/config/resources.js";
import type { ConfigSource } from "../common/config/source.js";
import {
  type BlockSpec,
  commaList,
  duration,
  integer,
  listOf,
  port,
  speed,
  yesNo,
} from "../common/config/spec.js";
import type { TlsFiles } from "../common/tls/load.js";
import { REFERENCE_SPEC, toReferences } from "./reference/config.js";
import type { ReferenceSettings } from "./reference/settings.js";
import { SNAPSHOT_SPEC, toSnapshotSettings } from "./snapshot/config.js";
import type { SnapshotSettings } from "./snapshot/settings.js";

export interface FiledConfig extends Loaded {
  readonly name: string;
  /** Address to listen on. (Default: 127.0.0.1) */
  readonly address: string;
  /** (Default: 9102) */
  readonly port: number;
  readonly workingDirectory: string;
  /** (Default: 20) */
  readonly maximumConcurrentJobs: number;
  readonly tls: TlsFiles;
  /** Ed25519 public key (PEM) of the director's tickets. (Default: pki/ticket.pub) */
  readonly ticketPublicKeyFile: string;
  /** List of withdrawn certificates; may not exist. (Default: pki/revoked.yaml) */
  readonly revokedFile: string;
  /** Names of the directors that may give orders. */
  readonly directors: readonly string[];
  /** Commands are run from these directories (absolute) only; empty: none are run. */
  readonly hookDirectories: readonly string[];
  /** A command still running after this is ended. (Default: 1 hour) */
  readonly hookTimeoutSec: number;
  /** Paths that may be backed up; undefined: all. */
  readonly allowedRoots?: readonly string[] | undefined;
  /** Paths below which restores may write. (Default: /) */
  readonly restoreRoots: readonly string[];
  /** Threads that read, digest and compress. (Default: number of processors, at least 2, at most 8) */
  readonly workerThreads: number;
  /** Network limit of each backup, bytes per second. (Default: 0, none) */
  readonly maximumBandwidthPerJob: number;
  /** Reference machines that jobs may have built here. */
  readonly references: readonly ReferenceSettings[];
  /** How snapshots of virtual machines are made; the first that fits a machine's name counts. */
  readonly snapshots: readonly SnapshotSettings[];
}

const daemonDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  workingDirectory: pathText(),
  maximumConcurrentJobs: integer(1, 10000),
  tls: tls(),
  ticketPublicKeyFile: pathText(),
  revokedFile: pathText(),
  directors: commaList(),
  hookDirectories: listOf(pathText()),
  hookTimeout: duration(),
  allowedRoots: listOf(absolutePath()),
  restoreRoots: listOf(absolutePath()),
  workerThreads: integer(1, 64),
  maximumBandwidthPerJob: speed(),
};

const DAEMON_SPEC: BlockSpec<typeof daemonDirectives> = {
  directives: daemonDirectives,
  aliases: { FdPort: "port", FdAddress: "address", MaximumBandwidth: "maximumBandwidthPerJob" },
  noEffect: {
    ...DAEMON_NO_EFFECT,
    HeartbeatInterval: "the director keeps connections alive",
  },
};

const directorDirectives = { name: resourceName(), enabled: yesNo() };
const DIRECTOR_SPEC: BlockSpec<typeof directorDirectives> = {
  directives: directorDirectives,
  noEffect: { ...DAEMON_NO_EFFECT, Address: "the director calls", Port: "the director calls" },
};

const KINDS = {
  FileDaemon: DAEMON_SPEC,
  Client: DAEMON_SPEC,
  Director: DIRECTOR_SPEC,
  Reference: REFERENCE_SPEC,
  Snapshot: SNAPSHOT_SPEC,
};
const IGNORED = { Messages: "messages of jobs go to the director, all else to the log" };

/** Loads filed.yaml. Throws ConfigError (`CONFIG_INVALID`) with every finding, or `CONFIG_NOT_FOUND`. */
export function loadFiledConfig(file: string): FiledConfig {
  return loadDaemonConfig("filed", file, buildFiledConfig);
}

/** The configuration of entries from wherever; what is wrong is reported. */
export function buildFiledConfig(
  source: ConfigSource,
  diagnostics: Diagnostics,
): Omit<FiledConfig, keyof Loaded> | undefined {
  const raw = readResources(source, KINDS, diagnostics, IGNORED);
  const daemons = new Map([...raw.FileDaemon, ...raw.Client]);
  const daemon = single("FileDaemon", daemons, { file: source.file, diagnostics });
  if (daemon === undefined) return undefined;
  const named = [...raw.Director.values()].filter((director) => director.values.enabled !== false);
  const names = named.map((director) => director.name);
  const references = toReferences([...raw.Reference.values()], diagnostics);
  const config = toConfig(daemon, names, diagnostics);
  const { hookDirectories } = config;
  const snapshots = toSnapshotSettings(raw.Snapshot, { hookDirectories, diagnostics });
  return { ...config, references, snapshots };
}

function toConfig(
  raw: ResourceOf<typeof DAEMON_SPEC>,
  directors: readonly string[],
  diagnostics: Diagnostics,
): Omit<FiledConfig, keyof Loaded | "references" | "snapshots"> {
  const { values } = raw;
  requireDirectives(raw, ["workingDirectory"], diagnostics);
  const allowed = [...new Set([...directors, ...(values.directors ?? [])])];
  if (allowed.length === 0) {
    diagnostics.error(
      raw.at,
      `${raw.place} names no director; add Director: {Name: …} with the director's Name`,
    );
  }
  const file = (name: string): string => path.resolve(raw.directory, name);
  return {
    name: raw.name,
    address: values.address ?? "127.0.0.1",
    port: values.port ?? 9102,
    workingDirectory: file(values.workingDirectory ?? "."),
    maximumConcurrentJobs: values.maximumConcurrentJobs ?? 20,
    tls: toTlsFiles(raw, values.tls, diagnostics),
    ticketPublicKeyFile: file(values.ticketPublicKeyFile ?? "pki/ticket.pub"),
    revokedFile: file(values.revokedFile ?? "pki/revoked.yaml"),
    directors: allowed,
    hookDirectories: (values.hookDirectories ?? []).map(file),
    hookTimeoutSec: values.hookTimeout ?? 3600,
    allowedRoots: values.allowedRoots,
    restoreRoots: values.restoreRoots ?? ["/"],
    maximumBandwidthPerJob: values.maximumBandwidthPerJob ?? 0,
    workerThreads: values.workerThreads ?? Math.min(8, Math.max(2, availableParallelism())),
  };
}
