/** The configuration as a console with ACLs may see it: only resources that its lists grant. */

import type { DirectorConfig } from "../../config/types.js";
import type { Acl } from "../acl.js";

/**
 * A copy without what is not granted. Of Messages those of granted jobs stay, of consoles none. Values inside of a
 * granted resource may still name others.
 */
export function restrictConfig(config: DirectorConfig, acl: Acl): DirectorConfig {
  const keep = <T>(map: ReadonlyMap<string, T>, fits: (name: string) => boolean): Map<string, T> =>
    new Map([...map].filter(([name]) => fits(name)));
  const jobs = keep(config.jobs, (name) => acl.allows("job", name));
  const used = new Set([...jobs.values()].map((job) => job.messages));
  return {
    ...config,
    jobs,
    clients: keep(config.clients, (name) => acl.allowsClient(name)),
    fileSets: keep(config.fileSets, (name) => acl.allows("fileSet", name)),
    schedules: keep(config.schedules, (name) => acl.allows("schedule", name)),
    storages: keep(config.storages, (name) => acl.allows("storage", name)),
    pools: keep(config.pools, (name) => acl.allows("pool", name)),
    messages: keep(config.messages, (name) => acl.grantsAll("job") || used.has(name)),
    consoles: new Map(),
  };
}
