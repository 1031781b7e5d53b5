/** The console's configuration: which director to talk to, and as whom. */

import { loadDaemonConfig } from "../common/bacula/load.js";
import type { BaculaOrigin } from "../common/bacula/origin.js";
import type { Diagnostics } from "../common/config/diagnostics.js";
import type { Loaded } from "../common/config/load.js";
import { address, DAEMON_NO_EFFECT, tls, toTlsFiles } from "../common/config/parts.js";
import { readResources, requireDirectives, resourceName } from "../common/config/resources.js";
import type { ConfigSource } from "../common/config/source.js";
import { type BlockSpec, duration, port } from "../common/config/spec.js";
import type { TlsFiles } from "../common/tls/load.js";

export interface ConsoleDirector {
  readonly name: string;
  readonly address: string;
  /** (Default: 9101) */
  readonly port: number;
  readonly tls: TlsFiles;
  /** How long to wait for the director to answer. (Default: 30) */
  readonly connectTimeoutSec: number;
  /** With Bacula's own configuration: what proves who the console is, in place of the certificate. */
  readonly credential?: ConsoleCredential | undefined;
}

/** A password, and the Console resource of the director that it belongs to; "": the Director's own. */
export interface ConsoleCredential {
  readonly console: string;
  readonly password: string;
}

export interface ConsoleConfig extends Loaded {
  /** The first is used unless another is named; never empty. */
  readonly directors: readonly ConsoleDirector[];
  /** Name of the Console resource, for prompts; what counts is the certificate. */
  readonly name?: string | undefined;
}

const directorDirectives = {
  name: resourceName(),
  address: address(),
  port: port(),
  tls: tls(),
  connectTimeout: duration(),
};

const DIRECTOR_SPEC: BlockSpec<typeof directorDirectives> = {
  directives: directorDirectives,
  aliases: { DirPort: "port", DirAddress: "address" },
  noEffect: DAEMON_NO_EFFECT,
};

const consoleDirectives = { name: resourceName() };
const CONSOLE_SPEC: BlockSpec<typeof consoleDirectives> = {
  directives: consoleDirectives,
  noEffect: DAEMON_NO_EFFECT,
};

const KINDS = { Director: DIRECTOR_SPEC, Console: CONSOLE_SPEC };

/** Loads console.yaml. Throws ConfigError (`CONFIG_INVALID`) with every finding, or `CONFIG_NOT_FOUND`. */
export function loadConsoleConfig(file: string): ConsoleConfig {
  const config = loadDaemonConfig("console", file, buildConsoleConfig);
  return config.bacula === undefined ? config : withCredentials(config, config.bacula);
}

/** The configuration of entries from wherever; what is wrong is reported. */
export function buildConsoleConfig(
  source: ConfigSource,
  diagnostics: Diagnostics,
): Omit<ConsoleConfig, keyof Loaded> | undefined {
  const raw = readResources(source, KINDS, diagnostics);
  const directors = [...raw.Director.values()].map((director) => {
    requireDirectives(director, ["address"], diagnostics);
    const { values, name } = director;
    return {
      name,
      address: values.address ?? "",
      port: values.port ?? 9101,
      tls: toTlsFiles(director, values.tls, diagnostics),
      connectTimeoutSec: values.connectTimeout ?? 30,
    };
  });
  if (directors.length === 0) {
    diagnostics.error({ file: source.file, line: 0, column: 0 }, "the resource Director is missing");
    return undefined;
  }
  return { directors, name: raw.Console.keys().next().value };
}

/** A Console resource stands in for the Director's password, as in Bacula; -C or the first one. */
export function withCredentials(
  config: ConsoleConfig,
  { passwords }: BaculaOrigin,
  wanted = config.name,
): ConsoleConfig {
  const directors = config.directors.map((director): ConsoleDirector => {
    const password =
      wanted === undefined ? passwords.of("Director", director.name) : passwords.of("Console", wanted);
    return { ...director, credential: { console: wanted ?? "", password: password ?? "" } };
  });
  return { ...config, directors };
}
