/**
 * What a console may do and see. A console without a resource in the configuration is the administrator's and
 * may do everything; one that is named there may do what its lists grant and nothing else.
 */
import type { ConsoleResource } from "../config/types.js";

export type AclKind =
  | "command"
  | "job"
  | "client"
  | "storage"
  | "schedule"
  | "pool"
  | "fileSet"
  | "catalog"
  | "where"
  | "directory"
  | "restoreClient"
  | "backupClient";

export class Acl {
  readonly #resource: ConsoleResource | undefined;

  constructor(resource: ConsoleResource | undefined) {
    this.#resource = resource;
  }

  /** True for the administrator's console. */
  get unrestricted(): boolean {
    return this.#resource === undefined;
  }

  /** True when the list grants everything, so that nothing needs filtering. */
  grantsAll(kind: AclKind): boolean {
    return this.#resource === undefined || this.#list(kind).some((entry) => entry.toLowerCase() === "*all*");
  }

  /**
   * True when `name` is granted. Command names compare in any case; `directory` grants what lies below; a
   * restricted console restores to original places only when WhereACL holds `/`.
   */
  allows(kind: AclKind, name: string): boolean {
    if (this.grantsAll(kind)) return true;
    const list = this.#list(kind);
    if (list.some((entry) => entry.startsWith("!") && this.#fits(kind, entry.slice(1), name))) return false;
    return list.some((entry) => this.#fits(kind, entry, name));
  }

  /** The entries of a list that may be shown. */
  filter<T>(kind: AclKind, items: readonly T[], nameOf: (item: T) => string): T[] {
    return this.grantsAll(kind) ? [...items] : items.filter((item) => this.allows(kind, nameOf(item)));
  }

  /** Clients may be granted by ClientACL, or for one direction only. */
  allowsClient(name: string, direction: "any" | "backup" | "restore" = "any"): boolean {
    if (this.allows("client", name)) return true;
    if (direction === "backup") return this.allows("backupClient", name);
    if (direction === "restore") return this.allows("restoreClient", name);
    return this.allows("backupClient", name) || this.allows("restoreClient", name);
  }

  #fits(kind: AclKind, entry: string, name: string): boolean {
    if (kind === "command") return entry.toLowerCase() === name.toLowerCase();
    if (kind === "where" || kind === "directory") {
      const top = entry.replace(/\/+$/, "");
      return name === entry || name === top || (top !== "" && name.startsWith(`${top}/`)) || entry === "/";
    }
    return entry === name;
  }

  #list(kind: AclKind): readonly string[] {
    const resource = this.#resource!;
    return {
      command: resource.commandAcl,
      job: resource.jobAcl,
      client: resource.clientAcl,
      storage: resource.storageAcl,
      schedule: resource.scheduleAcl,
      pool: resource.poolAcl,
      fileSet: resource.fileSetAcl,
      catalog: resource.catalogAcl,
      where: resource.whereAcl,
      directory: resource.directoryAcl,
      restoreClient: resource.restoreClientAcl,
      backupClient: resource.backupClientAcl,
    }[kind];
  }
}
