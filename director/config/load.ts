/** Loads the director's configuration: all resources of `director.yaml` and its includes, checked together. */

import { loadDaemonConfig } from "../../common/bacula/load.js";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { readResources, single } from "../../common/config/resources.js";
import type { ConfigSource } from "../../common/config/source.js";
import { COUNTER_SPEC, toCounter } from "./counter.js";
import {
  CLIENT_SPEC,
  DIRECTOR_SPEC,
  POOL_SPEC,
  STORAGE_SPEC,
  toClient,
  toDirector,
  toPool,
  toStorage,
} from "./endpoints.js";
import { FILE_SET_SPEC, toFileSet } from "./file-set.js";
import { toJob } from "./job.js";
import { JOB_SPEC } from "./job-spec.js";
import { CONSOLE_SPEC, MESSAGES_SPEC, toConsole, toMessages } from "./messages.js";
import { SCHEDULE_SPEC, toSchedule } from "./schedule.js";
import type { DirectorConfig } from "./types.js";

const KINDS = {
  Director: DIRECTOR_SPEC,
  Job: JOB_SPEC,
  JobDefs: JOB_SPEC,
  Client: CLIENT_SPEC,
  FileSet: FILE_SET_SPEC,
  Schedule: SCHEDULE_SPEC,
  Storage: STORAGE_SPEC,
  Pool: POOL_SPEC,
  Messages: MESSAGES_SPEC,
  Console: CONSOLE_SPEC,
  Counter: COUNTER_SPEC,
};

const IGNORED = {
  Catalog: "the catalog lives in the storage daemon, which needs no description of it here",
  Statistics: "statistics are not sent anywhere",
};

/**
 * Loads `file`, or every *.yaml of the directory `file`. The result is frozen; its warnings are for the log.
 * Throws ConfigError (`CONFIG_INVALID`) holding every finding, or BackupError `CONFIG_NOT_FOUND`.
 */
export function loadDirectorConfig(file: string): DirectorConfig {
  return loadDaemonConfig("director", file, buildDirectorConfig);
}

type Parts = Omit<DirectorConfig, "file" | "files" | "warnings">;

/** The configuration of entries from wherever; what is wrong is reported. */
export function buildDirectorConfig(source: ConfigSource, diagnostics: Diagnostics): Parts | undefined {
  const raw = readResources(source, KINDS, diagnostics, IGNORED);
  const messages = mapValues(raw.Messages, (each) => toMessages(each, diagnostics));
  const storages = mapValues(raw.Storage, (each) => toStorage(each, diagnostics));
  const pools = mapValues(raw.Pool, (each) => toPool(each, { pools: raw.Pool, storages }, diagnostics));
  const schedules = mapValues(raw.Schedule, (each) =>
    toSchedule(each, { pools, storages, messages }, diagnostics),
  );
  const clients = mapValues(raw.Client, (each) => toClient(each, diagnostics));
  const fileSets = mapValues(raw.FileSet, (each) => toFileSet(each, diagnostics));
  const consoles = mapValues(raw.Console, (each) => toConsole(each));
  const counters = mapValues(raw.Counter, (each) => toCounter(each, raw.Counter, diagnostics));
  const known = { jobs: raw.Job, clients, fileSets, schedules, storages, pools, messages };
  const jobs = mapValues(raw.Job, (each) => toJob(each, { jobDefs: raw.JobDefs, known, diagnostics }));
  const director = single("Director", raw.Director, { file: source.file, diagnostics });
  if (director === undefined) return undefined;
  return {
    director: toDirector(director, messages, diagnostics),
    jobs,
    clients,
    fileSets,
    schedules,
    storages,
    pools,
    messages,
    consoles,
    counters,
  };
}

function mapValues<A, B>(map: ReadonlyMap<string, A>, convert: (value: A) => B): Map<string, B> {
  return new Map([...map].map(([name, value]) => [name, convert(value)]));
}
