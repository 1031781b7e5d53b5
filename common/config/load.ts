/** The frame around every daemon's configuration: read, build, and throw all findings together. */

import type { BaculaOrigin } from "../bacula/origin.js";
import { ConfigError, type Diagnostic, Diagnostics } from "./diagnostics.js";
import { deepFreeze } from "./resources.js";
import { type ConfigSource, readConfigSource } from "./source.js";

/** What every loaded configuration has. */
export interface Loaded {
  /** Absolute path that was loaded: a file, or a directory of *.yaml files. */
  readonly file: string;
  /** Every file that was read, in order. */
  readonly files: readonly string[];
  /** Findings that do not stop the daemon. */
  readonly warnings: readonly Diagnostic[];
  /** Only of a configuration in Bacula's own syntax. */
  readonly bacula?: BaculaOrigin | undefined;
}

/**
 * Reads `file` and lets `build` make the configuration of it; the result is frozen.
 * `build` reports to the diagnostics and may return undefined once it has reported an error.
 * Throws ConfigError (`CONFIG_INVALID`) with all findings, or BackupError `CONFIG_NOT_FOUND`.
 */
export function loadConfig<T extends object>(
  file: string,
  build: (source: ConfigSource, diagnostics: Diagnostics) => T | undefined,
): T & Loaded {
  const diagnostics = new Diagnostics();
  const source = readConfigSource(file, diagnostics);
  const built = build(source, diagnostics);
  if (built === undefined || diagnostics.errors.length > 0) throw new ConfigError(file, diagnostics.all);
  const { warnings } = diagnostics;
  return deepFreeze({ ...built, file: source.file, files: [...source.files], warnings: [...warnings] });
}
