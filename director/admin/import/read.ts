/** Reads what is to be imported and sorts it by daemon. */

import { type Component, findInputs, type InputGroup } from "../../../common/bacula/layout.js";
import { componentOf, hasBareosWords } from "../../../common/bacula/map/configuration.js";
import { readBaculaConfig } from "../../../common/bacula/parser.js";
import type { BaculaConfig, BaculaResource, SkippedCommand } from "../../../common/bacula/syntax.js";
import { foldName } from "../../../common/config/diagnostics.js";
import { BackupError } from "../../../common/errors.js";

/** Everything that was named, by daemon. Files for the director are one configuration, and so are the console's. */
export interface Originals {
  readonly director: readonly BaculaResource[];
  readonly console: readonly BaculaResource[];
  /** One for each daemon. */
  readonly storageds: readonly (readonly BaculaResource[])[];
  readonly fileds: readonly (readonly BaculaResource[])[];
  readonly files: readonly string[];
  /** Of the tray monitor, which is none of the daemons. */
  readonly otherFiles: readonly string[];
  readonly commands: readonly SkippedCommand[];
  readonly latin1Files: readonly string[];
  readonly isBareos: boolean;
}

/** @throws ConfigError with every syntax error; BackupError CONFIG_NOT_FOUND, CONFIG_INVALID, USAGE */
export function readOriginals(inputs: readonly string[]): Originals {
  const groups = inputs.flatMap((input) => findInputs(input));
  const all = groups.map((group) => ({ group, config: readBaculaConfig(group.files) }));
  const others = all.filter(({ config }) => isOfMonitor(config));
  const read = all
    .filter((each) => !others.includes(each))
    .map((each) => ({ ...each, component: componentFor(each.group, each.config) }));
  const of = (component: Component) =>
    read.filter((each) => each.component === component).map((each) => each.config.resources);
  if (of("director").length === 0) {
    throw new BackupError("USAGE", "none of these files is a director's (bacula-dir.conf); name it first");
  }
  return {
    director: of("director").flat(),
    console: of("console").flat(),
    storageds: perDaemon(of("storaged"), ["storage"]),
    fileds: perDaemon(of("filed"), ["filedaemon", "client"]),
    files: [...new Set(read.flatMap(({ config }) => config.files))],
    otherFiles: others.flatMap(({ config }) => config.files),
    commands: read.flatMap(({ config }) => config.commands),
    latin1Files: read.flatMap(({ config }) => config.latin1Files),
    isBareos: groups.some((group) => group.isBareos) || read.some(({ config }) => hasBareosWords(config)),
  };
}

function isOfMonitor({ resources }: BaculaConfig): boolean {
  return resources.some(({ kind }) => foldName(kind) === "monitor");
}

/** The contents decide, and the name where they do not tell. */
function componentFor(group: InputGroup, config: BaculaConfig): Component {
  const found = componentOf(config) ?? group.component;
  if (found !== undefined) return found;
  if (config.resources.length === 0 && config.commands.length > 0) return "director";
  throw new BackupError(
    "USAGE",
    `${group.files[0]}: not a configuration of Bacula or Bareos that is known here`,
  );
}

/** Files without a resource of the daemon itself belong to the one before. */
function perDaemon(
  configs: readonly (readonly BaculaResource[])[],
  own: readonly string[],
): readonly (readonly BaculaResource[])[] {
  const daemons: BaculaResource[][] = [];
  for (const resources of configs) {
    const isOne = resources.some(({ kind }) => own.includes(foldName(kind)));
    if (isOne || daemons.length === 0) daemons.push([...resources]);
    else daemons.at(-1)!.push(...resources);
  }
  return daemons;
}
