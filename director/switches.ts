/** What a console has switched on or off, until the next start; else the Enabled directives count. */

import { BackupError } from "../common/errors.js";
import type { DirectorConfig } from "./config/types.js";
import type { JobPlan } from "./job/request.js";

/** Resources that a console may switch off until the next start. */
export type SwitchKind = "job" | "client" | "storage" | "schedule";

export class Switches {
  readonly #config: () => DirectorConfig;
  readonly #set = new Map<string, boolean>();

  constructor(config: () => DirectorConfig) {
    this.#config = config;
  }

  set(kind: SwitchKind, name: string, enabled: boolean): void {
    this.#set.set(`${kind} ${name}`, enabled);
  }

  isEnabled(kind: SwitchKind, name: string): boolean {
    const switched = this.#set.get(`${kind} ${name}`);
    if (switched !== undefined) return switched;
    const { jobs, clients, storages, schedules } = this.#config();
    const maps = { job: jobs, client: clients, storage: storages, schedule: schedules };
    return maps[kind].get(name)?.enabled ?? true;
  }

  /** @throws BackupError DISABLED when a run's client or storage is switched off */
  check({ job, client, storage }: JobPlan): void {
    for (const [kind, resource] of [
      ["client", client],
      ["storage", storage],
    ] as const) {
      if (resource === undefined || this.isEnabled(kind, resource.name)) continue;
      const word = kind === "client" ? "Client" : "Storage";
      throw new BackupError("DISABLED", `${word} "${resource.name}" is disabled; Job ${job.name} not run.`);
    }
  }
}
