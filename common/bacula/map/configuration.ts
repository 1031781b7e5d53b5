/** Whole configurations: which resources of a daemon's files become what. */

import { foldName } from "../../config/diagnostics.js";
import type { Component } from "../layout.js";
import type { BaculaConfig, BaculaResource } from "../syntax.js";
import {
  mapAllowedDirector,
  mapChanger,
  mapConsoleDirector,
  mapConsoleProgram,
  mapDevice,
  mapFiled,
  mapStoraged,
  planDevices,
} from "./daemons.js";
import { leaveOutKnown, mapClient, mapCounter, mapDirector, mapPool, mapStorage } from "./director.js";
import { fileSetRules } from "./file-set.js";
import { type CatalogCopy, jobRules } from "./job.js";
import type { Mapper } from "./mapper.js";
import { MESSAGES_RULES } from "./messages.js";
import { mapConsole, mapProfile } from "./rights.js";
import { SCHEDULE_RULES } from "./schedule.js";

export interface DirectorOptions {
  /** Pools store equal content once. */
  readonly deduplicate: boolean;
  /** Names of the storage daemons' devices here, by their names in Bacula's files. */
  readonly devices: ReadonlyMap<string, string>;
  /** Takes the place of Bacula's dump of its catalog. */
  readonly catalogCopy?: CatalogCopy | undefined;
}

type MapOne = (mapper: Mapper, resource: BaculaResource) => void;

/** The director's file. */
export function mapDirectorConfig(
  mapper: Mapper,
  resources: readonly BaculaResource[],
  { deduplicate, devices, catalogCopy }: DirectorOptions,
): void {
  const fileSets = { catalogCopy: catalogCopy?.directory, compress: deduplicate };
  const rules = {
    jobDefs: jobRules("JobDefs", catalogCopy),
    job: jobRules("Job", catalogCopy),
    fileSet: fileSetRules(fileSets),
  };
  const profiles = resources.filter((each) => foldName(each.kind) === "profile");
  const kinds: Readonly<Record<string, MapOne>> = {
    director: mapDirector,
    jobdefs: (to, each) => void to.resource(each, "JobDefs", rules.jobDefs),
    job: (to, each) => void to.resource(each, "Job", rules.job),
    client: mapClient,
    fileset: (to, each) => void to.resource(each, "FileSet", rules.fileSet),
    schedule: (to, each) => void to.resource(each, "Schedule", SCHEDULE_RULES),
    storage: (to, each) => mapStorage(to, each, devices),
    counter: mapCounter,
    autochanger: (to, each) => mapStorage(to, each, devices, true),
    pool: (to, each) => mapPool(to, each, deduplicate),
    messages: (to, each) => void to.resource(each, "Messages", MESSAGES_RULES),
    console: (to, each) => mapConsole(to, each, profiles),
    user: (to, each) => mapConsole(to, each, profiles),
    profile: mapProfile,
  };
  mapByKind(mapper, resources, kinds);
}

/** The storage daemon's file. */
export function mapStoragedConfig(mapper: Mapper, resources: readonly BaculaResource[]): void {
  const plan = planDevices(resources, mapper);
  const planned = new Map(plan.devices.map((each) => [each.resource, each]));
  const merged = new Map(plan.merged.map((each) => [each.resource, each.into]));
  const device: MapOne = (to, each) => {
    const found = planned.get(each);
    if (found !== undefined) mapDevice(to, found);
    else to.leaveOut(each, "replaced", `the Device "${merged.get(each) ?? ""}" stands for it`);
  };
  const changer: MapOne = (to, each) => {
    const drives = plan.changers.get(each);
    if (drives !== undefined) mapChanger(to, each, drives);
    else to.leaveOut(each, "replaced", "one Device of its name stands for its drives");
  };
  mapByKind(mapper, resources, {
    storage: mapStoraged,
    director: mapAllowedDirector,
    device,
    autochanger: changer,
    messages: messagesOfDaemon,
  });
}

/** The file daemon's file. */
export function mapFiledConfig(
  mapper: Mapper,
  resources: readonly BaculaResource[],
  hookDirectories: readonly string[],
): void {
  const daemon: MapOne = (to, each) => mapFiled(to, each, hookDirectories);
  mapByKind(mapper, resources, {
    filedaemon: daemon,
    client: daemon,
    director: mapAllowedDirector,
    messages: messagesOfDaemon,
  });
}

/** bconsole.conf; `peer` names the files of the console's certificate. */
export function mapConsoleConfig(mapper: Mapper, resources: readonly BaculaResource[], peer: string): void {
  mapByKind(mapper, resources, {
    director: (to, each) => mapConsoleDirector(to, each, peer),
    console: mapConsoleProgram,
  });
}

const messagesOfDaemon: MapOne = (mapper, resource) =>
  mapper.leaveOut(resource, "replaced", "messages of jobs go to the director, all else to the daemon's log");

function mapByKind(
  mapper: Mapper,
  resources: readonly BaculaResource[],
  kinds: Readonly<Record<string, MapOne>>,
): void {
  for (const resource of resources) {
    const folded = foldName(resource.kind);
    const map = Object.hasOwn(kinds, folded) ? kinds[folded] : undefined;
    if (map !== undefined) map(mapper, resource);
    else if (!leaveOutKnown(mapper, resource)) {
      mapper.leaveOut(resource, "unsupported", UNKNOWN_RESOURCE);
    }
  }
}

/** Said about a resource that neither Bacula nor Bareos is known to have. */
export const UNKNOWN_RESOURCE = "resources of this kind are not known here";

/** Resources that only Bareos has. */
export function hasBareosWords({ resources }: BaculaConfig): boolean {
  return resources.some(({ kind }) => ["profile", "user"].includes(foldName(kind)));
}

/** Tells by the resources in it; undefined when nothing is in it that tells. */
export function componentOf(config: BaculaConfig): Component | undefined {
  const kinds = new Set(config.resources.map((each) => foldName(each.kind)));
  const has = (...names: string[]): boolean => names.some((name) => kinds.has(name));
  if (has("device", "ndmp", "cloud")) return "storaged";
  if (has("job", "jobdefs", "fileset", "schedule", "pool", "catalog", "profile", "user", "counter")) {
    return "director";
  }
  if (has("filedaemon")) return "filed";
  const withDirective = (kind: string, name: RegExp): boolean =>
    config.resources.some(
      (each) =>
        foldName(each.kind) === kind &&
        each.directives.some((directive) => name.test(foldName(directive.name))),
    );
  const withAddress = (kind: string): boolean => withDirective(kind, /^((fd|sd|dir)?address)$/);
  // A daemon's own resource may say where it listens; a password is only in how a director sees it.
  const isSeen = (kind: string): boolean =>
    withDirective(kind, /^password$/) || (withAddress(kind) && !has("director"));
  if (has("client")) return isSeen("client") ? "director" : "filed";
  if (has("storage", "autochanger")) {
    return isSeen("storage") || isSeen("autochanger") ? "director" : "storaged";
  }
  if (withAddress("director")) return "console";
  if (has("messages") && has("director")) return "director";
  return has("consolefont") || has("director", "console") ? "console" : undefined;
}
