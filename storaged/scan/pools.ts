/** Pools as the labels of their volumes tell them. */
import type { Db } from "../catalog/schema.js";
import { Contexts } from "../catalog/writer-context.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { PoolStore } from "../catalog/writer-pools.js";

/** What holds until the director tells its own definition, at its next connection. */
export function defaultPool(name: string): PoolDefinition {
  return {
    name,
    poolType: "Backup",
    deduplicate: true,
    dedupScope: "pool",
    maximumVolumes: 0,
    maximumVolumeBytes: 0,
    maximumVolumeJobs: 0,
    volumeUseDuration: 0,
    volumeRetention: 365 * 86_400,
    // Nothing is pruned or used again before the director has said that it may.
    autoPrune: false,
    recycle: false,
    labelFormat: "",
    scratchPool: "",
    recyclePool: "",
    nextPool: "",
    recycleOldestVolume: false,
    recycleCurrentVolume: false,
    purgeOldestVolume: false,
    truncateOnPurge: false,
  };
}

/** The definition in a label; every field that is missing or impossible is the default's. */
export function poolOfLabel(name: string, label: unknown): PoolDefinition {
  const pool = defaultPool(name);
  const given = (label as { poolDefinition?: unknown } | null)?.poolDefinition;
  if (typeof given !== "object" || given === null) return pool;
  const fields: Record<string, unknown> = { ...pool };
  for (const [key, value] of Object.entries(pool)) {
    const found = (given as Record<string, unknown>)[key];
    const fits =
      typeof value === "number"
        ? Number.isSafeInteger(found) && (found as number) >= 0
        : typeof found === typeof value;
    if (fits) fields[key] = found;
  }
  const { dedupScope } = fields;
  return {
    ...(fields as unknown as PoolDefinition),
    name,
    dedupScope: dedupScope === "client" ? "client" : "pool",
  };
}

/** Pools of the catalog by name; makes those that are missing, and leaves the others as they are. */
export class PoolTable {
  readonly #db: Db;
  readonly #ids = new Map<string, number>();

  constructor(db: Db) {
    this.#db = db;
  }

  idOf(name: string, definition: () => PoolDefinition = () => defaultPool(name)): number {
    let id = this.#ids.get(name) ?? this.#find(name);
    if (id === undefined) {
      new PoolStore(this.#db, new Contexts(this.#db)).sync([definition()]);
      id = this.#find(name)!;
    }
    this.#ids.set(name, id);
    return id;
  }

  #find(name: string): number | undefined {
    return this.#db.prepare<[string], number>("SELECT id FROM pool WHERE name = ?").pluck().get(name);
  }
}
