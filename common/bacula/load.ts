/**
 * Loads a daemon's or console's configuration, in YAML or in Bacula's own language. The latter goes through the same
 * parser and mapping as `basalt import`, in memory, each time: files that are edited keep working.
 */

import { existsSync } from "node:fs";
import path from "node:path";
import { ConfigError, type Diagnostic, Diagnostics } from "../config/diagnostics.js";
import { type Loaded, loadConfig } from "../config/load.js";
import { deepFreeze } from "../config/resources.js";
import type { ConfigSource } from "../config/source.js";
import { BackupError } from "../errors.js";
import { packageRoot } from "../package.js";
import { isBaculaSyntax } from "./detect.js";
import { type Component, findInputs, type InputGroup } from "./layout.js";
import {
  componentOf,
  hasBareosWords,
  mapConsoleConfig,
  mapDirectorConfig,
  mapFiledConfig,
  mapStoragedConfig,
  UNKNOWN_RESOURCE,
} from "./map/configuration.js";
import { UNKNOWN_DIRECTIVE } from "./map/consequences.js";
import type { CatalogCopy } from "./map/job.js";
import type { Mapper } from "./map/mapper.js";
import { Names } from "./map/names.js";
import { settle } from "./map/settle.js";
import type { Finding } from "./map/types.js";
import type { BaculaOrigin } from "./origin.js";
import { readBaculaConfig } from "./parser.js";
import { missingPasswords, passwordsOf } from "./passwords.js";
import { type Own, ownResource, placesOf } from "./place.js";
import type { BaculaResource } from "./syntax.js";

type Build<T> = (source: ConfigSource, diagnostics: Diagnostics) => T | undefined;

/** The name by which people know each. */
const CALLED: Readonly<Record<Component, string>> = {
  director: "a director",
  storaged: "a storage daemon",
  filed: "a file daemon",
  console: "a console",
};

/**
 * Loads `file`; `build` makes the configuration of one daemon of it. The result is frozen.
 * @throws ConfigError (CONFIG_INVALID) with every finding, BackupError CONFIG_NOT_FOUND
 */
export function loadDaemonConfig<T extends object>(
  component: Component,
  file: string,
  build: Build<T>,
): T & Loaded {
  return isBaculaSyntax(file) ? loadBacula(component, file, build) : loadConfig(file, build);
}

function loadBacula<T extends object>(component: Component, file: string, build: Build<T>): T & Loaded {
  const group = groupFor(component, file);
  const config = readBaculaConfig(group.files);
  const { resources } = config;
  const found = componentOf(config);
  if (found !== undefined && found !== component) {
    const text = `${file} is the configuration of ${CALLED[found]}, not of ${CALLED[component]}`;
    throw new BackupError("CONFIG_INVALID", text);
  }
  const isBareos = group.isBareos || hasBareosWords(config);
  const names = new Names(resources);
  const own = ownResource(component, resources, { isBareos, names });
  const settled = settle({
    file,
    resources,
    names,
    isBareos,
    map: (mapper, all) => mapFor(component, mapper, { all, own, file }),
    build,
    places: placesOf(component, own),
  });
  const diagnostics = new Diagnostics();
  for (const each of config.files) diagnostics.addFile(each);
  for (const found of settled.findings) sayFinding(found, diagnostics);
  for (const { at, message } of settled.errors) diagnostics.error(at, message);
  for (const { command, at } of config.commands) {
    diagnostics.warning(
      at,
      `the command of an include is never run; what it would bring is missing: ${command}`,
    );
  }
  for (const found of missingPasswords(component, resources, settled.resources)) {
    diagnostics.error(found.at, found.message);
  }
  const built = settled.built as T | undefined;
  if (built === undefined || diagnostics.errors.length > 0) throw new ConfigError(file, diagnostics.all);
  const origin: BaculaOrigin = {
    passwords: passwordsOf(component, resources, names),
    name: own.name,
    stateDirectory: own.stateDirectory,
    pidDirectory: own.pidDirectory,
  };
  const warnings: readonly Diagnostic[] = [...diagnostics.warnings];
  return deepFreeze({
    ...built,
    file: path.resolve(file),
    files: [...config.files],
    warnings,
    bacula: origin,
  });
}

/** The files of one daemon; a directory such as /etc/bareos holds those of all. */
function groupFor(component: Component, file: string): InputGroup {
  const groups = findInputs(file);
  const wanted = groups.find((each) => each.component === component);
  if (wanted !== undefined) return wanted;
  if (groups.length === 1) return groups[0]!;
  throw new BackupError(
    "CONFIG_NOT_FOUND",
    `${file}: the directory holds no configuration of ${CALLED[component]}`,
  );
}

interface Original {
  readonly all: readonly BaculaResource[];
  readonly own: Own;
  readonly file: string;
}

function mapFor(component: Component, mapper: Mapper, { all, own, file }: Original): void {
  if (component === "director") {
    const catalogCopy = catalogCopyFor(file, own);
    mapDirectorConfig(mapper, all, { deduplicate: false, devices: new Map(), catalogCopy });
  } else if (component === "storaged") mapStoragedConfig(mapper, all);
  else if (component === "filed") mapFiledConfig(mapper, all, []);
  else mapConsoleConfig(mapper, all, "console");
}

/** Copies both databases where the storage daemon's file lies beside the director's. */
function catalogCopyFor(file: string, own: Own): CatalogCopy | undefined {
  const absolute = path.resolve(file);
  const beside = absolute.endsWith(".conf") ? absolute.replace(/dir\.conf$/, "sd.conf") : undefined;
  if (beside === undefined || beside === absolute || !existsSync(beside)) return undefined;
  const directory = path.join(own.stateDirectory, "catalog");
  const program = path.join(packageRoot(), "basalt");
  const daemons = `--storaged "${beside}" --director "${absolute}"`;
  return { command: `"${program}" catalog copy ${daemons} "${directory}"`, directory };
}

/** Bacula refuses what it does not know or understand; what is only missing here is told, with the consequence. */
function sayFinding({ outcome, at, what, text }: Finding, diagnostics: Diagnostics): void {
  const line = `${what}: ${text}`;
  const isUnknown = text.startsWith(UNKNOWN_DIRECTIVE) || text === UNKNOWN_RESOURCE;
  if (isUnknown || (outcome === "wrong" && !/is given twice/.test(text))) diagnostics.error(at, line);
  else if (outcome === "wrong") diagnostics.warning(at, line);
  else if (outcome === "unsupported") diagnostics.warning(at, `not supported: ${line}`);
}
